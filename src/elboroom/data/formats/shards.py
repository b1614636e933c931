"""The files of a table in Parquet or Arrow: one, or shards in a folder that are parts by name."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from elboroom.data.formats.names import parts_within
from elboroom.data.labels import in_natural_order
from elboroom.errors import DataError

_TABLES = (".parquet", ".arrow", ".feather")
_BESIDE = ("", ".json", ".jsonl", ".md", ".txt", ".yaml", ".yml", ".lock", ".crc")
"""Endings of what other programs put beside shards."""
_MOST_FILES, _DEEPEST = 100_000, 3
_PARTS = ("train", "validation", "test")
_NUMBERED = re.compile(r"(.*)-(\d{5})-of-(\d{5})\b")


def is_table_folder(path: Path) -> bool:
    """Return whether a folder holds tables, and nothing else but notes on them."""
    if not path.is_dir():
        return False
    endings = set[str]()
    try:
        for file in _files(path):
            endings.add(PurePath(file).suffix.lower())
            if not endings <= {*_TABLES, *_BESIDE}:
                return False
    except (OSError, ValueError):
        return False
    return not endings.isdisjoint(_TABLES)


def shards_of(path: Path) -> dict[str, list[Path]]:
    """Return the files of each part of a table, in natural order of their names.

    A file is of the part that its name says, such as train-00000-of-00002.parquet, or else that of
    its folder. Files of one part, or of none, are all of the training part.

    Args:
        path: a file, or a folder for which `is_table_folder` is True.

    Raises:
        DataError: if the names give no parts with train among them, or if a shard is missing.
    """
    if not path.is_dir():
        return {"train": [path]}
    files = [f for f in _files(path) if PurePath(f).suffix.lower() in _TABLES]
    _require_own(path, files)
    _require_all(path, files)
    part = {file: _part(path, file) for file in in_natural_order(files)}
    if len(set(part.values())) == 1:
        return {"train": [path / file for file in part]}
    if None in part.values() or "train" not in part.values():
        raise _unclear(path, part)
    found = {name: [path / file for file in part if part[file] == name] for name in _PARTS}
    return {name: paths for name, paths in found.items() if paths}


def _files(root: Path) -> Iterator[str]:
    """Yield the names of the files below a folder that are not hidden, relative to it."""
    folders, count = [""], 0
    while folders:
        folder = folders.pop(0)
        with os.scandir(root / folder) as entries:
            for entry in entries:
                count += 1
                if count > _MOST_FILES or folder.count("/") > _DEEPEST:
                    raise ValueError(f"it has over {_MOST_FILES:,} names or {_DEEPEST} levels")
                if entry.name.startswith("."):
                    continue
                name = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{name}/")
                else:
                    yield name


def _require_own(root: Path, files: Iterable[str]) -> None:
    """Check that all files are in the folder itself."""
    other = next((f for f in files if (root / f).is_symlink() or not (root / f).is_file()), None)
    if other is not None:
        raise DataError(
            f"cannot read {root} as data",
            why=f"{other} is a link, a pipe or a device; a link may lead out of the folder",
            fix="copy the files themselves into a folder, such as by cp -rL",
        )


def _require_all(root: Path, files: Iterable[str]) -> None:
    """Check that no shard is missing where names tell how many there are."""
    numbered = [found for file in files if (found := _NUMBERED.match(file))]
    counts = Counter((found[1], int(found[3])) for found in numbered)
    for (name, promised), count in counts.items():
        if count != promised:
            raise DataError(
                f"{root} is not whole",
                why=f"found {count} shards {name}-…; their names promise {promised}",
                fix="fetch those that are missing, or rename the shards if some are enough",
            )


def _part(root: Path, file: str) -> str | None:
    """Return the part that a name says, the file before its folders; None if it says none."""
    for name in reversed(PurePath(file).parts):
        words = parts_within(name)
        if len(words) > 1:
            raise _unclear(root, {file: None})
        if words:
            return words.pop()
    return None


def _unclear(root: Path, part: dict[str, str | None]) -> DataError:
    named = {name: file for file, name in part.items()}
    found = [f"{file} ({name or 'no part, or several'})" for name, file in named.items()]
    return DataError(
        f"the parts of {root} are not clear",
        why=f"found {', '.join(found)}; expected train, and validation or test, in every name",
        fix="give the folder or the file of one part alone, or name each file by its part",
    )
