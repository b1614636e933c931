"""One array of rows in many files on disk, few of which are open at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.device.ranks import World
from elboroom.errors import DataError

_MOST_MAPPED, _LEAST_MAPPED = 512, 8  # files; each mapped one is an open file of the process
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Shard:
    """A file of rows: the values lie one after the other from some byte on.

    Attributes:
        path: the file.
        rows: the number of its rows, at least 1.
        offset: the first byte of its values.
    """

    path: Path
    rows: int
    offset: int


class ShardFiles:
    """The rows of numbered files, which are mapped when they are read.

    Args:
        shards: the files, in the order of their rows.
        dtype: type of all values.
        event_shape: shape of one row.
    """

    def __init__(
        self, shards: Sequence[Shard], dtype: np.dtype, event_shape: tuple[int, ...]
    ) -> None:
        self.shards, self.dtype, self.event_shape = tuple(shards), dtype, event_shape
        self.ends = np.cumsum([shard.rows for shard in shards])
        self._mapped = lru_cache(_most_mapped())(self._map)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read the rows of some numbers (B,) from the files that they are in, (B, *event).

        Raises:
            DataError: if a file cannot be read any more.
        """
        values = np.empty((len(rows), *self.event_shape), self.dtype)
        number = np.searchsorted(self.ends, rows, side="right")
        for shard, here in _grouped(number):
            first = self.ends[shard] - self.shards[shard].rows
            values[here] = self._mapped(shard)[rows[here] - first]
        # A byte that is neither 0 nor 1 is not a valid bool: PyTorch would count it as its value.
        return values.view(np.uint8) != 0 if self.dtype == bool else values

    def _map(self, number: int) -> np.memmap:
        shard = self.shards[number]
        try:
            shape = (shard.rows, *self.event_shape)
            return np.memmap(shard.path, self.dtype, "r", shard.offset, shape)
        except (OSError, ValueError) as error:
            raise DataError(
                f"cannot read the shard {shard.path}",
                why=f"it has changed since it was opened: {error}",
                fix="put the file back, and leave the folder as it is while it is read",
            ) from error


@dataclass(frozen=True)
class ShardedArray:
    """Some consecutive rows of numbered files; reading gives arrays in memory.

    It has the few methods of an array that readers of rows on disk need.

    Attributes:
        files: the files of all rows.
        start: the first row.
        stop: the row after the last.
        change: brings rows (N, ...) as they are stored to another layout.
    """

    files: ShardFiles
    start: int
    stop: int
    change: Change = lambda rows: rows

    @classmethod
    def of(cls, files: ShardFiles) -> "ShardedArray":
        """Return all rows of some files."""
        return cls(files, 0, int(files.ends[-1]))

    def changed(self, change: Change) -> "ShardedArray":
        """Return the same rows in another layout, which depends on no value."""
        before = self.change
        return replace(self, change=lambda rows: change(before(rows)))

    def part(self, rows: slice) -> "ShardedArray":
        """Return some consecutive rows without reading them."""
        start, stop, _ = rows.indices(len(self))
        return replace(self, start=self.start + start, stop=self.start + stop)

    def share(self, world: World) -> slice:
        """Return the rows of a rank: those of its part of all files, of each file all or none."""
        own = world.part_of(len(self.files.ends))
        edges = np.concatenate([[0], self.files.ends])[[own.start, own.stop]]
        start, stop = np.clip(edges - self.start, 0, len(self)).tolist()
        return slice(start, stop)

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.files.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *event)."""
        none = np.empty((0, *self.files.event_shape), self.dtype)
        return (len(self), *self.change(none).shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes, with that of the rows."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read rows: those of a number, a slice or an index (B,), and places within them."""
        rows, *within = key if isinstance(key, tuple) else (key,)
        found = self.change(self.files.read(self._numbers(rows)))
        if isinstance(rows, int | np.integer):
            return found[0][tuple(within)]
        return found[(slice(None), *within)]

    def _numbers(self, rows: Any) -> np.ndarray:
        """Return the numbers of some rows among those of all files, (B,)."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return np.arange(self.start + start, self.start + stop, step)
        index = np.atleast_1d(np.asarray(rows, dtype=np.int64))
        if len(index) and not (index.min() >= 0 and index.max() < len(self)):
            raise IndexError(f"a row of {index.min()} to {index.max()} is not among {len(self)}")
        return self.start + index


Stored = np.ndarray | ShardedArray
"""Rows of a source: an array in memory or on disk."""


def stays_on_disk(array: Stored) -> bool:
    """Return whether the rows of an array are read when they are needed."""
    return isinstance(array, np.memmap | ShardedArray)


def _grouped(number: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each number that occurs, and the places where it does."""
    order = np.argsort(number, kind="stable")
    found, starts = np.unique(number[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    for each, start, end in zip(found.tolist(), starts.tolist(), ends[: len(found)], strict=True):
        yield each, order[start:end]


def _most_mapped() -> int:
    """Return how many files may be mapped: a quarter of the files that the process may open."""
    try:
        from resource import RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows has no such limit
        return _MOST_MAPPED
    allowed = getrlimit(RLIMIT_NOFILE)[0] // 4
    return min(_MOST_MAPPED, max(_LEAST_MAPPED, allowed)) if allowed >= 0 else _MOST_MAPPED
