"""The parts and classes of a folder of pictures, from its names, before any picture is read.

A fault is an `OSError` or a `ValueError`, from which the reader makes a `DataError`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MOST_NAMES = 1_000_000
_MOST_SHOWN = 9  # names in an error
_PARTS = ["test", "train"]
_SPLITS = {*_PARTS, "val", "valid", "validation"}  # names that nobody gives to all classes


@dataclass(frozen=True)
class Listing:
    """Pictures in the order of their names.

    Attributes:
        files: their paths, (N,).
        classes: sorted names of the folders that hold them; empty if there are no such folders.
        labels: (N,) int64, positions among the classes; None if there are no classes.
    """

    files: list[str]
    classes: list[str]
    labels: np.ndarray | None


class TooManyError(ValueError):
    """More names than memory should hold."""


def list_parts(folder: Path) -> tuple[Listing, Listing | None]:
    """List the training part, and the test part if there is one.

    Raises:
        OSError: if a folder cannot be read.
        ValueError: if there is anything but pictures, or the folders have another layout.
        TooManyError: if there are more than a million names.
    """
    folders, _ = _listed(folder)
    if sorted(name.lower() for name in folders) != _PARTS:
        _require_classes(folders)
        return _listing(folder), None
    test, train = (_listing(folder / name) for name in sorted(folders, key=str.lower))
    unlike = sorted({*train.classes} ^ {*test.classes})
    if unlike:
        raise ValueError(f"only one of train and test has the classes {_joined(unlike)}")
    _require_few(len(train.files) + len(test.files))
    return train, test


def _listing(folder: Path) -> Listing:
    classes, names = _listed(folder)
    files, labels = [os.path.join(folder, name) for name in names], []
    for label, name in enumerate(classes):
        deeper, names = _listed(folder / name)
        if deeper:
            raise ValueError(f"{folder / name / deeper[0]} is a folder within a class")
        files += [os.path.join(folder, name, file) for file in names]
        labels += [label] * len(names)
        _require_few(len(files))
    return Listing(files, classes, np.array(labels, np.int64) if classes else None)


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Return the sorted names of all folders and of all pictures; exactly one list is empty."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in (e for e in entries if not e.name.startswith(".")):
            _require_plain(entry)
            (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
            _require_few(len(folders) + len(files))
    _require_pictures(folder, files)
    if folders and files:
        found = f"pictures ({min(files)}) and folders ({min(folders)})"
        raise ValueError(f"{folder} holds both {found}")
    if not folders and not files:
        raise ValueError(f"{folder} holds no pictures")
    return sorted(folders), sorted(files)


def _require_plain(entry: os.DirEntry[str]) -> None:
    """Check that an entry is a file or a folder, and that its name fits on one line."""
    if entry.name.splitlines() != [entry.name]:
        raise ValueError(f"the name {entry.name!a} has a line break")
    if entry.is_symlink():
        raise ValueError(f"{entry.path} is a symbolic link, which may lead out of the folder")
    if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
        raise ValueError(f"{entry.path} is a pipe or a device, not a file")


def _require_pictures(folder: Path, files: list[str]) -> None:
    other = min((name for name in files if not name.lower().endswith(".png")), default=None)
    if other is not None:
        raise ValueError(f"{folder / other} is not a .png")


def _require_classes(folders: list[str]) -> None:
    """Check that no folder is meant as a part."""
    names = {name.lower() for name in folders}
    if names.issuperset(_PARTS) or (names and names <= _SPLITS):
        raise ValueError(f"found the parts {_joined(folders)}; expected only `train` and `test`")


def _require_few(count: int) -> None:
    if count > _MOST_NAMES:
        raise TooManyError(f"it contains more than {_MOST_NAMES:,} names")


def _joined(names: list[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "")
