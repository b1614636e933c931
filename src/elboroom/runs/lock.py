"""The lock of a run, which only one process at a time can train."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from elboroom.errors import RunError
from elboroom.runs.atomic import write_file

_LOCK, _HOLDER = ".lock", ".lock-holder"
FILES = (_LOCK, _HOLDER)
"""Files that a lock leaves in a folder. They lock nothing once its process has ended."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`. The system releases it when this process ends in any way.

    Raises:
        RunError: if another process holds it, or `folder` cannot be locked.
    """
    lock = _acquired(folder)
    try:
        write_file(folder / _HOLDER, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with suppress(OSError):  # the file means nothing once the lock is free
            (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path) -> bool:
    """Return True while a process of this machine trains the run; nothing is locked for it."""
    holder = re.fullmatch(r"process (\d+) on (.*)", _holder(folder))
    if holder is None or holder[2] != socket.gethostname():
        return False
    try:
        os.kill(int(holder[1]), 0)
    except PermissionError:  # it runs, as another user
        return True
    except (OSError, OverflowError):
        return False
    return True


def _acquired(folder: Path) -> FileLock:
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{folder} is being trained",
            why=f"{_holder(folder)} holds its lock",
            fix="wait until that ends, or stop it; commands that only read the run need no lock",
        ) from error
    except OSError as error:
        raise RunError(
            f"{folder} cannot be locked", why=str(error), fix="train where you may write"
        ) from error
    return lock


def _holder(folder: Path) -> str:
    try:
        return (folder / _HOLDER).read_text(encoding="utf-8")
    except OSError:  # it holds the lock, and has not written its name yet
        return "another process"
