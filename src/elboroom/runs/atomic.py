"""Files and folders that appear whole or not at all.

They are written under a temporary name, synced to the disk, and then renamed. If the system refuses
that, for example on a full disk, a `DiskError` is raised: existing files are unchanged, and
temporary ones are deleted if possible.
"""

import errno
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import Any

from elboroom.errors import DiskError
from elboroom.untrusted import open_file

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("your quota is used up", "delete what you no longer need"),
    errno.EFBIG: ("files may not be that large here", "raise the limit (`ulimit -f`)"),
    errno.EROFS: ("the file system is read-only", "mount it for writing"),
    errno.EACCES: ("you may not write there", "ask for permission to write"),
    errno.EPERM: ("you may not write there", "ask for permission to write"),
    errno.ENOENT: ("its folder is gone", "put the folder back"),
    errno.ENOTDIR: ("its folder is gone", "put the folder back"),
    errno.ESTALE: ("its folder is gone", "put the folder back"),
    errno.EIO: ("the disk fails", "look at its log before you trust it again"),
}
_OTHERWISE = ("the system refuses", "correct what it names")
_PART = ".part"
_LONGEST_LINE = 1 << 16
_IS_WINDOWS = os.name == "nt"
_PAUSES = (0.01, 0.03, 0.1, 0.3, 0.6)  # seconds


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise a `DiskError` that names `path` instead of any `OSError` in this block.

    Raises:
        DiskError: if the block raises an `OSError`, or the `DiskError` of a part of `path`.
    """
    what = f"{path} cannot be written"
    try:
        yield
    except DiskError as error:
        raise DiskError(what, why=error.why, fix=error.fix) from error
    except OSError as error:
        cause, remedy = _CAUSES.get(error.errno or 0, _OTHERWISE)
        fix = f"{remedy}, or write elsewhere"
        raise DiskError(what, why=f"{cause}: {error}", fix=fix) from error


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield the path under which `path` is prepared; nothing is there before and after."""
    temporary = path.with_name(f".{path.name}{_PART}")
    _delete_if_possible(temporary)
    try:
        yield temporary
    finally:
        _delete_if_possible(temporary)


def _rename(path: Path, name: Path) -> None:
    """Give a file or a folder a name, which may be that of an existing file.

    Windows refuses that while another program has one of them open, such as a reader or a scanner
    for viruses; it is tried again for a second.
    """
    for pause in _PAUSES if _IS_WINDOWS else ():
        try:
            path.replace(name)
            return
        except PermissionError:
            time.sleep(pause)
    path.replace(name)


def _delete_if_possible(path: Path) -> None:
    """Delete a file or a folder, as far as the system permits."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        with suppress(OSError):
            path.unlink()


def unfinished(path: Path) -> list[Path]:
    """Return the temporary files and folders in `path` that killed writers have left."""
    inner = ((top, name) for top, *names in os.walk(path) for name in chain(*names))
    found = {Path(top, name) for top, name in inner if name[0] == "." and name.endswith(_PART)}
    return sorted(part for part in found if found.isdisjoint(part.parents))


def as_json(content: Any) -> str:
    """Return content as strict JSON, with null for numbers that are not finite.

    Letters of all scripts stay as they are; characters that cannot be printed, or that UTF-8 does
    not have, as in names of files that are not UTF-8, are escaped.
    """
    text = json.dumps(_finite(content), indent=2, allow_nan=False, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_file(path: Path, content: bytes) -> None:
    """Write `path` whole or not at all.

    Raises:
        DiskError: if it cannot be written.
    """
    with disk_errors(path), _temporary(path) as temporary:
        with temporary.open("wb", buffering=0) as file:
            _write(file, content)
        _rename(temporary, path)
        sync_folder(path.parent)


class NewFile:
    """A file that is written piece by piece before it takes its name.

    Args:
        path: its name.
        file: open for reading and writing, without a buffer.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self._path, self._file = path, file

    def write(self, start: int, content: bytes | memoryview) -> None:
        """Write all of `content` from byte `start` on.

        Raises:
            DiskError: if it cannot be written.
        """
        with disk_errors(self._path):
            self._file.seek(start)
            _write_all(self._file, content)

    def read(self, start: int, size: int) -> bytes:
        """Read `size` bytes that were written from byte `start` on.

        Raises:
            DiskError: if they cannot be read.
        """
        with disk_errors(self._path):
            self._file.seek(start)
            content = bytearray()
            while len(content) < size and (more := self._file.read(size - len(content))):
                content += more
            return bytes(content)


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """Yield a file to write, which becomes `path` if the block ends without an error.

    Raises:
        DiskError: if it cannot be written, or another process has begun to write the same file.
    """
    with _temporary(path) as temporary:
        with disk_errors(path):
            file = temporary.open("w+b", buffering=0)
        with file:
            yield NewFile(path, file)
            with disk_errors(path):
                os.fsync(file.fileno())
                _require_own(temporary, file)
                file.close()  # Windows renames no file that is open
                _rename(temporary, path)
                sync_folder(path.parent)


def _require_own(temporary: Path, file: FileIO) -> None:
    """Check that a temporary name is still that of `file`."""
    if not temporary.exists() or not os.path.samestat(temporary.stat(), os.fstat(file.fileno())):
        raise FileExistsError(errno.EEXIST, "another process writes this file", str(temporary))


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Create the folder `path`, filled by `fill(folder)`, whole or not at all.

    Its parent is created if need be, but no folder above that: a run that was moved away is not
    started again.

    Raises:
        DiskError: if it cannot be written, or `path` is a folder that is not empty.
    """
    with disk_errors(path), _temporary(path) as temporary:
        make_folder(path.parent)
        temporary.mkdir()
        fill(temporary)
        sync_folder(temporary)
        _rename(temporary, path)
        sync_folder(path.parent)


def make_folder(path: Path, *, parents: bool = False) -> None:
    """Create the folder `path` unless it exists, and with `parents` those above it.

    Raises:
        DiskError: if it cannot be created.
    """
    if parents and not path.parent.exists():
        make_folder(path.parent, parents=True)
    with disk_errors(path):
        if not path.is_dir():
            path.mkdir()
            sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Delete a folder and its content; it loses its name before any file in it is deleted.

    Raises:
        DiskError: if it cannot be deleted.
    """
    with disk_errors(path), _temporary(path) as temporary:
        _rename(path, temporary)


@contextmanager
def in_place_of(path: Path) -> Iterator[None]:
    """Set an earlier folder aside, put it back if this block fails, and delete it if not.

    Raises:
        DiskError: if it cannot be moved or deleted.
    """
    if not path.exists():
        yield
        return
    aside = path.with_name(f".{path.name}.earlier{_PART}")
    with disk_errors(path):
        path.replace(aside)
    try:
        yield
    except BaseException:
        aside.replace(path)
        raise
    remove_folder(aside)


def append_line(path: Path, line: str) -> None:
    """Append `line` to `path`; if a crash cuts it short, it does not end in a line break.

    Raises:
        DiskError: if it cannot be written. `path` is unchanged.
    """
    new = not path.exists()
    with disk_errors(path), path.open("ab", buffering=0) as file:
        whole = file.tell()
        try:
            _write(file, f"{line}\n".encode())
        except OSError:
            with suppress(OSError):
                file.truncate(whole)
            raise
        if new:
            sync_folder(path.parent)


def _write(file: FileIO, content: bytes) -> None:
    """Write all of `content` and sync it; `file` has no buffer that could be written later."""
    _write_all(file, content)
    os.fsync(file.fileno())


def _write_all(file: FileIO, content: bytes | memoryview) -> None:
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of `path` that were written whole; none if there is no file.

    Raises:
        ValueError: if a line is longer than any that elboroom writes, or `path` is not a file.
    """
    if not path.exists():
        return
    with open_file(path) as file:
        while line := file.readline(_LONGEST_LINE + 1):
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"a line of {path.name} is longer than {_LONGEST_LINE:,} bytes")
            if line.endswith(b"\n"):
                yield line.removesuffix(b"\n")


def is_cut_short(path: Path) -> bool:
    """Return True if the last line of `path` was not written whole."""
    return path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")


def sync_folder(path: Path) -> None:
    """Make renames within `path` durable, where the system can sync a folder."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
