"""The files of a folder, by their names within it, and the way to read them."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from elboroom.untrusted import open_file, read_bytes

LARGEST_FILE = 256 << 20
"""Bytes of a picture's file at most."""
_MOST_NAMES = 1_000_000
_DEEPEST = 16  # folders within each other
_LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r", "@eadir"),
    *("$recycle.bin", "system volume information"),
}
"""Names that systems leave in folders, in lower case."""
_FEWER = "save the images as one .npy of uint8, which can stay on disk"


class LayoutError(ValueError):
    """A folder or an archive whose names cannot be used, with the way to lay it out."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


@dataclass(frozen=True)
class PictureFiles:
    """Files of a folder or an archive, pictures and others.

    Attributes:
        names: their paths within it, joined by `/`; none is hidden, a link or a device.
        litter: hidden names, and those that systems leave, such as Thumbs.db; perhaps of folders.
        read: called from any thread with a name and a number of bytes; it returns the first so many
            bytes of the file, and raises a ValueError if that is not a plain file.
        content: called from any thread with a name; it returns all bytes of the file, and raises a
            ValueError if they are too many for a picture.
        folder: the folder in which another process finds the files; None for an archive.
    """

    names: list[str]
    litter: list[str]
    read: Callable[[str, int], bytes]
    content: Callable[[str], bytes]
    folder: Path | None = None


def files_in(folder: Path) -> PictureFiles:
    """List the files of a folder, and of the folders in it.

    Raises:
        OSError: if a folder cannot be read.
        LayoutError: if there is a symbolic link, a pipe or a device, if a name has a line break, if
            folders are nested too deeply, or if there are more than a million files.
    """
    names, litter, folders = list[str](), list[str](), [""]
    while folders:
        within = folders.pop()
        with os.scandir(folder / within) as entries:
            for entry in entries:
                name = within + entry.name
                if is_litter(entry.name):
                    litter.append(name)
                    continue
                _require_plain(entry)
                require_name(name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name + "/")
                else:
                    names.append(name)
                require_few(len(names) + len(folders))
    return PictureFiles(
        names,
        litter,
        lambda name, size: _read(folder / name, size),
        partial(content_in, os.fspath(folder)),
        folder,
    )


def content_in(folder: str, name: str) -> bytes:
    """Read a file of a folder.

    Raises:
        OSError: if it is missing or not readable.
        ValueError: if it is too large for that of a picture, or no plain file.
    """
    return read_bytes(f"{folder}/{name}", LARGEST_FILE)


def is_litter(name: str) -> bool:
    """Return True if one part of a path is hidden, or left by a system."""
    return name.startswith(".") or name.lower() in _LITTER


def require_name(name: str) -> None:
    """Check that a name fits on one line, and is not nested too deeply.

    Raises:
        LayoutError: if it does not.
    """
    if name.splitlines() != [name]:
        raise LayoutError(f"the name {name!a} has a line break", "rename it")
    if name.count("/") > _DEEPEST:
        shown = "/".join(name.split("/")[:3])
        why = f"in {shown}/… are folders within each other, more than {_DEEPEST} deep"
        raise LayoutError(why, "give a folder further inside")


def require_few(count: int) -> None:
    """Check the number of names.

    Raises:
        LayoutError: if there are more than a million.
    """
    if count > _MOST_NAMES:
        raise LayoutError(f"it contains more than {_MOST_NAMES:,} names", _FEWER)


def without_litter(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Part the paths of an archive into those of files, and hidden or system names."""
    files, litter = list[str](), dict[str, None]()
    for name in names:
        parts = name.split("/")
        first = next((n for n, part in enumerate(parts) if is_litter(part)), None)
        if first is None:
            files.append(name)
        else:
            litter["/".join(parts[: first + 1])] = None
    return files, list(litter)


def _read(path: Path, size: int) -> bytes:
    with open_file(path) as file:
        return file.read(size)


def _require_plain(entry: os.DirEntry[str]) -> None:
    """Check that an entry is a file or a folder."""
    if entry.is_symlink():
        why = f"{entry.path} is a symbolic link, which may lead out of the folder"
        raise LayoutError(why, "put the file itself in its place")
    if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
        raise LayoutError(f"{entry.path} is a pipe or a device, not a file", "take it away")
