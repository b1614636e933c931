"""The lock of a run, which only one process at a time can train."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from elboroom.errors import RunError
from elboroom.runs.atomic import write_file

_LOCK, _HOLDER = ".lock", ".lock-holder"
_SYNCHRONISE, _ACCESS_DENIED, _STILL_RUNNING = 0x00100000, 5, 0x102  # of Windows
_LARGEST_PROCESS = (1 << 32) - 1
_IS_WINDOWS = os.name == "nt"
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
    return _is_running(int(holder[1]))


def _is_running(process: int) -> bool:
    if _IS_WINDOWS:
        return _is_running_in_windows(process)
    try:
        os.kill(process, 0)
    except PermissionError:  # it runs, as another user
        return True
    except (OSError, OverflowError):
        return False
    return True


def _is_running_in_windows(process: int) -> bool:
    """Return True if a process runs; `os.kill` would send it the signal 0, which is Ctrl-C."""
    import ctypes

    if process > _LARGEST_PROCESS:
        return False
    system: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    system.OpenProcess.restype = ctypes.c_void_p
    handle = system.OpenProcess(_SYNCHRONISE, False, process)
    if not handle:
        return ctypes.get_last_error() == _ACCESS_DENIED  # type: ignore[attr-defined]
    try:
        return system.WaitForSingleObject(ctypes.c_void_p(handle), 0) == _STILL_RUNNING
    finally:
        system.CloseHandle(ctypes.c_void_p(handle))


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
