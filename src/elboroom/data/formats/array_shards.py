"""A folder of numbered `.npy` files that are one array: 00000.npy, 00001.npy and so on."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any, cast

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.arrays import source_of
from elboroom.data.formats.errors import UnreadableArrayError, cannot_read, fits
from elboroom.data.formats.npy import read_array, read_header
from elboroom.data.sharded_array import Shard, ShardedArray, ShardFiles, Stored
from elboroom.data.sharing import errors_of_all, sharers, spread
from elboroom.data.source import Shards, Source
from elboroom.errors import DataError
from elboroom.untrusted import open_file

ROWS = "rows.npz"
"""The file of the rows that `elboroom pack` writes among the shards."""
_MOST_FILES = 100_000
_FIRST_NUMBERS = (0, 1)
_TOGETHER = "put it elsewhere: the folder may hold nothing but the numbered .npy of one array"
_OF = re.compile(r"-of-$")


@dataclass(frozen=True)
class _Header:
    """The facts of a shard that others must share, and those that are its own."""

    dtype: str
    event_shape: tuple[int, ...]
    rows: int
    offset: int


def is_shard_folder(path: Path) -> bool:
    """Return whether most files of a folder are numbered `.npy`, by their names alone."""
    if not path.is_dir():
        return False
    try:
        names = [entry.name for entry in _entries(path) if entry.name != ROWS]
    except (OSError, ValueError):
        return False
    return 2 * sum(_is_numbered(name) for name in names) > len(names)


def read_shards(path: Path, config: DataConfig) -> Source:
    """Read the rows of all shards in the order of their numbers.

    Raises:
        DataError: if a shard is missing, damaged or of another type or shape than the others, if
            something else is in the folder, or if the values are not those of data.
    """
    rows, sizes = load_shards(path, config)
    source = source_of(path.resolve().name, {"images": cast("np.ndarray", rows)}, config)
    return replace(source, shards=Shards(source.train.images, sizes))


def load_shards(path: Path, config: DataConfig) -> tuple[Stored, tuple[int, ...]]:
    """Load the rows of all shards, or stay on disk if they do not fit, and count those of each.

    Each rank reads the headers of its part of the shards.

    Raises:
        DataError: if a shard is missing or damaged, or is of another type or shape than the others.
    """
    files = shard_files(path)
    sizes = tuple(shard.rows for shard in files.shards)
    if fits(sum(sizes) * _bytes(files), config.memory):
        with errors_of_all():
            rows = _in_memory(files)
        return rows, sizes
    return ShardedArray.of(files), sizes


def shard_files(path: Path) -> ShardFiles:
    """Read the headers of all shards of a folder.

    Raises:
        DataError: as `load_shards` does.
    """
    paths = numbered(path)
    with errors_of_all():
        mine = [_read_header(file) for file in paths[sharers().part_of(len(paths))]]
    headers = _of_all_ranks(mine)
    _require_alike(paths, headers)
    shards = [Shard(f, h.rows, h.offset) for f, h in zip(paths, headers, strict=True)]
    return ShardFiles(shards, np.dtype(headers[0].dtype), headers[0].event_shape)


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder and not hidden.

    Raises:
        ValueError: if there is too much.
    """
    with os.scandir(path) as entries:
        for count, entry in enumerate(entries):
            if count > _MOST_FILES:
                raise ValueError(f"it has over {_MOST_FILES:,} names")
            if not entry.name.startswith("."):
                yield entry


def _is_numbered(name: str) -> bool:
    return name.endswith(".npy") and re.search(r"[0-9]", name) is not None


def numbered(path: Path) -> list[Path]:
    """Return the shards of a folder in the order of their numbers, after checking their names.

    Raises:
        DataError: if something else is in the folder, or a number is missing or there twice.
    """
    try:
        entries = sorted(_entries(path), key=lambda entry: entry.name)
    except (OSError, ValueError) as error:
        raise cannot_read(path, str(error)) from error
    names = list[str]()
    for entry in entries:
        _require_file(path, entry)
        names += [entry.name] if entry.name != ROWS else []
    pieces = {name: re.split(r"([0-9]+)", PurePath(name).stem) for name in names}
    place = _place_of_number(path, pieces)
    number = {name: int(found[place]) for name, found in pieces.items()}
    ordered = sorted(names, key=lambda name: (number[name], name))
    _require_every_number(path, ordered, [number[name] for name in ordered])
    _require_as_many_as_promised(path, pieces[ordered[0]], len(ordered))
    return [path / name for name in ordered]


def _require_file(path: Path, entry: os.DirEntry[str]) -> None:
    """Check that an entry of the folder is a file with the name of a shard or of the rows."""
    if entry.is_symlink():
        raise _refused(
            path / entry.name,
            "it is a symbolic link, which may lead out of the folder",
            "copy the files themselves into a folder, such as by cp -rL",
        )
    if not entry.is_file(follow_symlinks=False):
        raise _refused(path / entry.name, "it is a folder, a pipe or a device", _TOGETHER)
    if entry.name != ROWS and not _is_numbered(entry.name):
        raise _refused(path / entry.name, "it is no numbered .npy", _TOGETHER)


def _place_of_number(path: Path, pieces: dict[str, list[str]]) -> int:
    """Return the place among the pieces of all names where their number is."""
    first_name, first = next(iter(pieces.items()))
    differ = set[int]()
    for name, found in pieces.items():
        other = [n for n in range(len(found)) if len(found) == len(first) and found[n] != first[n]]
        differ |= set(other)
        is_alike = len(found) == len(first) and all(n % 2 for n in other) and len(differ) < 2
        if not is_alike:
            raise _refused(
                path / name,
                f"its name differs from {first_name} in more than one number",
                "name all shards alike, such as 00000.npy, 00001.npy, …, or " + _TOGETHER,
            )
    # One shard has no number that differs: the last one is taken, unless it tells how many.
    last = len(first) - 2
    return differ.pop() if differ else last - 2 * bool(last > 1 and _OF.search(first[last - 1]))


def _require_every_number(path: Path, names: Sequence[str], numbers: Sequence[int]) -> None:
    start = numbers[0] if numbers[0] in _FIRST_NUMBERS else 0
    for expected, (name, number) in enumerate(zip(names, numbers, strict=True), start):
        if number < expected:
            raise _refused(path / name, f"another shard has the number {number}", _TOGETHER)
        if number > expected:
            raise DataError(
                f"{path} is not whole",
                why=f"found no shard {expected:,} before {name}",
                fix="fetch those that are missing, or number the shards through if some are enough",
            )


def _require_as_many_as_promised(path: Path, pieces: Sequence[str], count: int) -> None:
    """Check the number of shards if their names end in -of- and how many there are."""
    if len(pieces) > 3 and _OF.search(pieces[-3]) and int(pieces[-2]) != count:
        raise DataError(
            f"{path} is not whole",
            why=f"found {count:,} shards; their names promise {int(pieces[-2]):,}",
            fix="fetch those that are missing, or rename the shards if some are enough",
        )


def _read_header(path: Path) -> _Header:
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            header = read_header(file, size)
            offset = file.tell()
    except UnreadableArrayError as error:
        raise _refused(path, str(error), error.fix) from error
    except Exception as error:  # a damaged file raises more than OSError and ValueError
        raise _refused(
            path, str(error) or "it is damaged", "write it again by numpy.save"
        ) from error
    if header.fortran_order:
        raise _refused(
            path,
            "it is in Fortran order, in which one row is scattered over the whole file",
            "save numpy.ascontiguousarray of it",
        )
    if not header.shape or 0 in header.shape:
        fix = "take it out and number the others through, or save at least one row"
        raise _refused(path, f"it is empty: its shape is {header.shape}", fix)
    return _Header(header.dtype.str, header.shape[1:], header.shape[0], offset)


def _of_all_ranks(mine: Sequence[_Header]) -> list[_Header]:
    """Return the headers of all shards in their order."""
    content = json.dumps([asdict(header) for header in mine]).encode()
    ranks = spread([{"headers": np.frombuffer(content, np.uint8)}], on_disk=True)
    found = [header for rank in ranks for header in json.loads(rank["headers"].tobytes())]
    return [_header(**facts) for facts in found]


def _header(event_shape: Sequence[int], **facts: Any) -> _Header:
    return _Header(event_shape=tuple(event_shape), **facts)


def _require_alike(paths: Sequence[Path], headers: Sequence[_Header]) -> None:
    """Check that all shards have rows of the type and the shape of the first one's."""
    first = headers[0]
    for path, found in zip(paths, headers, strict=True):
        if (found.dtype, found.event_shape) != (first.dtype, first.event_shape):
            raise _refused(
                path,
                f"its rows are {_described(found)}; those of {paths[0].name} are "
                f"{_described(first)}",
                "save all shards with one type and one shape of a row",
            )


def _described(header: _Header) -> str:
    return f"{np.dtype(header.dtype)} of shape {header.event_shape}"


def _bytes(files: ShardFiles) -> int:
    """Return the bytes of one row."""
    return files.dtype.itemsize * int(np.prod(files.event_shape, dtype=np.int64))


def _in_memory(files: ShardFiles) -> np.ndarray:
    rows = np.empty((int(files.ends[-1]), *files.event_shape), files.dtype)
    for shard, end in zip(files.shards, files.ends.tolist(), strict=True):
        try:
            with open_file(shard.path) as file:
                rows[end - shard.rows : end] = read_array(file, os.fstat(file.fileno()).st_size)
        except (OSError, ValueError) as error:
            fix = "write it again, and leave the folder as it is while it is read"
            raise _refused(shard.path, str(error), fix) from error
    return rows


def _refused(path: Path, why: str, fix: str) -> DataError:
    return DataError(f"cannot read the shard {path}", why=why, fix=fix)
