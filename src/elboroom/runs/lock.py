"""The lock of a run: one process at a time trains it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from elboroom.errors import RunError
from elboroom.runs.atomic import write_file

_LOCK, _HOLDER = ".lock", ".lock-holder"
FILES = (_LOCK, _HOLDER)
"""What a lock leaves in a folder. They lock nothing once its process has ended."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, which the system takes back when this process ends, however.

    Raises:
        RunError: another process holds it, or `folder` cannot be locked.
    """
    lock = _acquired(folder)
    try:
        write_file(folder / _HOLDER, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with suppress(OSError):  # it says nothing once the lock is free
            (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _acquired(folder: Path) -> FileLock:
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{folder} is being trained",
            why=f"{_holder(folder)} holds its lock",
            fix="wait until that ends, or stop it; what only reads the run needs no lock",
        ) from error
    except OSError as error:
        raise RunError(
            f"{folder} cannot be locked", why=str(error), fix="train where you may write"
        ) from error
    return lock


def _holder(folder: Path) -> str:
    try:
        return (folder / _HOLDER).read_text(encoding="utf-8")
    except OSError:  # it has the lock, and has yet to say so
        return "another process"
