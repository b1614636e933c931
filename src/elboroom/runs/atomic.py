"""Writing that cannot be seen half done: aside, synced, then renamed.

What the system refuses, as on a full disk, is a `DiskError`: what was there before is still there,
and nothing is left aside where that can be avoided.
"""

import errno
import json
import math
import os
import shutil
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
    errno.EDQUOT: ("your quota is used up", "remove what you no longer need"),
    errno.EFBIG: ("files may not be that large here", "raise the limit (`ulimit -f`)"),
    errno.EROFS: ("the file system is read-only", "mount it for writing"),
    errno.EACCES: ("you may not write there", "ask for permission to write"),
    errno.EPERM: ("you may not write there", "ask for permission to write"),
    errno.ENOENT: ("its folder is gone", "put the folder back"),
    errno.ENOTDIR: ("its folder is gone", "put the folder back"),
    errno.ESTALE: ("its folder is gone", "put the folder back"),
    errno.EIO: ("the disk fails", "look at its log before you trust it again"),
}
_OTHERWISE = ("the system refuses", "mend what it names")
_PART = ".part"
_OLD = f".old{_PART}"
_LONGEST_LINE = 1 << 16


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses within is told as an error of `path`.

    Raises:
        DiskError: an `OSError` came from within, or the error of a part of `path`.
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
def _aside(path: Path) -> Iterator[Path]:
    """Where `path` is prepared: nothing is there before, and nothing after."""
    aside = path.with_name(f".{path.name}{_PART}")
    _discard(aside)
    try:
        yield aside
    finally:
        _discard(aside)


def _discard(path: Path) -> None:
    """Remove a file or a folder, as far as the system lets us."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        with suppress(OSError):
            path.unlink()


def left_aside(path: Path) -> list[Path]:
    """What writers that were killed have left within the folder `path`, as it was prepared."""
    inner = ((top, name) for top, *names in os.walk(path) for name in chain(*names))
    found = {Path(top, name) for top, name in inner if name[0] == "." and name.endswith(_PART)}
    return sorted(part for part in found if found.isdisjoint(part.parents))


def as_json(content: Any) -> str:
    """Content as strict JSON, with null for what is not finite."""
    return json.dumps(_finite(content), indent=2, allow_nan=False, ensure_ascii=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_file(path: Path, content: bytes) -> None:
    """Write `path` whole or not at all.

    Raises:
        DiskError: it cannot be written.
    """
    with writing(path), _aside(path) as aside:
        with aside.open("wb", buffering=0) as file:
            _write(file, content)
        aside.replace(path)
        sync_folder(path.parent)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Create the folder `path`, filled by `fill(folder)`, whole or not at all.

    The folder around it is made if need be, but not one around that: a run that was taken away is
    not begun anew.

    Raises:
        DiskError: it cannot be written.
    """
    with writing(path), _aside(path) as aside:
        make_folder(path.parent)
        aside.mkdir()
        fill(aside)
        sync_folder(aside)
        _put(aside, path)
        sync_folder(path.parent)


def _put(aside: Path, path: Path) -> None:
    """Give a folder its name; one that has it already keeps it if that fails."""
    old = path.with_name(f".{path.name}{_OLD}")
    try:
        if path.exists():
            _discard(old)
            path.replace(old)
        aside.replace(path)
    except BaseException:  # a second Ctrl-C too, which may come as either rename ends
        if old.exists() and not path.exists():
            old.replace(path)
        raise
    _discard(old)


def unnamed(folder: Path) -> dict[Path, Path]:
    """What lost its name within `folder`, cut short between the renames that replace it: the names.

    It is whole, and what was to replace it may not be.
    """
    olds = {old: old.with_name(old.name[1:].removesuffix(_OLD)) for old in folder.glob(f".*{_OLD}")}
    return {old: path for old, path in olds.items() if not path.exists()}


def restore_names(folder: Path) -> None:
    """Give back the names of what is `unnamed`.

    Raises:
        DiskError: one cannot be given back.
    """
    for old, path in unnamed(folder).items():
        with writing(path):
            old.replace(path)
            sync_folder(folder)


def make_folder(path: Path, *, parents: bool = False) -> None:
    """Create the folder `path` unless it is there, and with `parents` those around it.

    Raises:
        DiskError: it cannot be made.
    """
    if parents and not path.parent.exists():
        make_folder(path.parent, parents=True)
    with writing(path):
        if not path.is_dir():
            path.mkdir()
            sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it; it too is not seen half done.

    Raises:
        DiskError: it cannot be removed.
    """
    with writing(path), _aside(path) as aside:
        path.replace(aside)


def append_line(path: Path, line: str) -> None:
    """Append `line` to `path`; cut short by a crash, it has no line break at its end.

    Raises:
        DiskError: it cannot be written, and `path` is as it was.
    """
    new = not path.exists()
    with writing(path), path.open("ab", buffering=0) as file:
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
    """Write all of it through to the disk; `file` has no buffer that could be written later."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of `path` that were written whole, one by one; none where there is no file.

    Raises:
        ValueError: a line is longer than any that is written, or `path` is no file.
    """
    if not path.exists():
        return
    with open_file(path) as file:
        while line := file.readline(_LONGEST_LINE + 1):
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"a line of {path.name} has more than {_LONGEST_LINE:,} bytes")
            if line.endswith(b"\n"):
                yield line.removesuffix(b"\n")


def is_cut_short(path: Path) -> bool:
    """Whether the last line of `path` was not written whole."""
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
