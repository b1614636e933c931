"""A disk that fails at a chosen system call, and a small real disk."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Disk:
    """A disk that counts the calls that write, and fails some of them.

    The calls are: open, write, sync, rename, make a folder.

    Args:
        code: error code of the failure.
        at: number of the first call that fails, from 0; None lets none fail.
        for_good: fail all later calls too.
    """

    def __init__(self, code: int = 0, at: int | None = None, *, for_good: bool = False) -> None:
        self.code, self.at, self.for_good = code, at, for_good
        self.calls: list[str] = []

    def call(self, name: str) -> None:
        """Count a call, and fail if it is the chosen one."""
        self.calls.append(name)
        number = len(self.calls) - 1
        if self.at is not None and (number == self.at or (self.for_good and number > self.at)):
            raise OSError(self.code, os.strerror(self.code))

    @contextmanager
    def mounted(self) -> Iterator["Disk"]:
        """Write through this disk in this block."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "open", self._opened(Path.open))
            patch.setattr(os, "fsync", lambda file: self.call("fsync"))  # which would take long
            for name in ("replace", "mkdir"):
                patch.setattr(os, name, self._counted(name, getattr(os, name)))
            yield self

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.call(name)
            return real(*arguments, **options)

        return counted

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not set(mode) & set("wa"):
                return real(path, mode, *arguments, **options)
            self.call("open")
            assert options == {"buffering": 0}, "what is buffered may be written after it failed"
            return _File(path, mode, self)

        return opened


class _File(io.FileIO):
    def __init__(self, path: Path, mode: str, disk: Disk) -> None:
        super().__init__(path, mode)
        self._disk = disk

    def write(self, content: Any) -> int:
        """Write half of the content before a failure, as a full disk does."""
        try:
            self._disk.call("write")
        except OSError:
            super().write(content[: len(content) // 2])
            raise
        return super().write(content)


@contextmanager
def small_disk(path: Path, kib: int) -> Iterator[None]:
    """Mount a disk of `kib` KiB at `path` in this block.

    Raises:
        PermissionError: if mounting is not permitted.
    """
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        raise PermissionError("mounting is not permitted")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@contextmanager
def filled(disk: Path, free: int) -> Iterator[None]:
    """Fill a small disk in this block until at most `free` bytes are left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while shutil.disk_usage(disk).free > free:
            file.write(bytes(4096))
    yield
    filler.unlink()
