"""Notes on the columns of a table: empty, constant, binary, or with values that mean missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import islice, product

import numpy as np

from elboroom.data.source import Source, in_chunks

_LEAST_COUNT = 3  # times that a sentinel occurs in a column
_MOST_SENTINELS = 3  # at each end of a column
_GAP = 2.0  # its distance from the other values, in ranges of these


def column_notes(source: Source) -> list[str]:
    """Describe the columns of the training rows that a user should look at, for reals.

    The rows, which may be on disk, are read once. Of pictures some millions of values are looked
    at, and their channels are the columns.
    """
    rows = source.train.images
    if rows.dtype.kind != "f":
        return []
    if rows.ndim != 2:
        first = map(_by_channel, islice(in_chunks(rows), 1))
        return _sentinels(_columns(first), "channel")
    found = _columns(in_chunks(rows))
    notes = _empty(found) + (_constant(found) if len(rows) > 1 else [])
    return notes + _sentinels(found, "column") + _binary(found)


def _by_channel(images: np.ndarray) -> np.ndarray:
    """Return all values of each channel, (N × H × W, C)."""
    return np.moveaxis(images, 1, -1).reshape(-1, images.shape[1])


@dataclass(frozen=True)
class _Extremes:
    """The least distinct values of each column in ascending order, and how often each occurs.

    Attributes:
        values: (K, D), NaN where there are no more.
        counts: (K, D).
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, counts: np.ndarray | int = 1) -> "_Extremes":
        """Find the least values of rows (N, D), each of which occurs `counts` times."""
        values, numbers = [], []
        for _ in range(_MOST_SENTINELS + 1):
            values.append(np.fmin.reduce(rows, axis=0))
            numbers.append(np.where(rows == values[-1], counts, 0).sum(0))
            rows = np.where(rows > values[-1], rows, np.nan)
        return cls(np.array(values), np.array(numbers))

    def joined(self, other: "_Extremes") -> "_Extremes":
        return _Extremes.of(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.counts, other.counts]),
        )


@dataclass(frozen=True)
class _Columns:
    """The facts that one pass over rows finds of each column.

    Attributes:
        number: the number of rows.
        low: the least values.
        high: the least of the negated values.
    """

    number: int
    low: _Extremes
    high: _Extremes

    @classmethod
    def of(cls, rows: np.ndarray) -> "_Columns":
        return cls(len(rows), _Extremes.of(rows), _Extremes.of(-rows))

    def joined(self, other: "_Columns") -> "_Columns":
        number = self.number + other.number
        return _Columns(number, self.low.joined(other.low), self.high.joined(other.high))


def _columns(chunks: Iterable[np.ndarray]) -> _Columns:
    return reduce(_Columns.joined, map(_Columns.of, chunks))


def _empty(found: _Columns) -> list[str]:
    columns = np.flatnonzero(np.isnan(found.low.values[0]))
    if not len(columns):
        return []
    return [f"no row has a value in {_named(columns)}: what is filled in there is made up"]


def _constant(found: _Columns) -> list[str]:
    columns = np.flatnonzero(found.low.values[0] == -found.high.values[0])
    if not len(columns):
        return []
    verb = "never varies" if len(columns) == 1 else "never vary"
    first = f"{_named(columns)} {verb}, from {found.low.values[0, columns[0]]:g}"
    return [f"{first}: it adds an arbitrary constant to log p(x), so leave it out"]


def _sentinels(found: _Columns, noun: str) -> list[str]:
    """Describe values such as −999, which recur far from the rest and may stand for missing ones.

    A column may have a few of them, at either end, beside lone outliers.
    """
    values = np.concatenate([found.low.values, -found.high.values])
    counts = np.concatenate([found.low.counts, found.high.counts])
    far = _far(found) & (counts >= _LEAST_COUNT)
    return [
        f"{value:g} stands in {100 * counts[here].mean() / found.number:.3g} % of "
        f"{_named(np.flatnonzero(here.any(0)), noun)}, far from the other values: if it means "
        "missing, save NaN in its place"
        for value in np.unique(values[far])
        for here in [far & (values == value)]
    ]


def _far(found: _Columns) -> np.ndarray:
    """Mark the fewest extreme values whose removal leaves a rest far from them, (2 K, D).

    They are far if each gap to the rest is wider than `_GAP` ranges of the rest. At least one of
    them recurs.
    """
    low, high = found.low, found.high
    far = np.zeros((2, *low.values.shape), bool)
    ends = product(range(_MOST_SENTINELS + 1), repeat=2)
    for i, j in sorted(ends, key=sum)[1:]:
        spread = -high.values[j] - low.values[i]
        recurs = np.concatenate([low.counts[:i], high.counts[:j]]).max(0) >= _LEAST_COUNT
        is_far = ~far.any((0, 1)) & recurs & (spread > 0)
        for extremes, k in ((low, i), (high, j)):
            if k:
                is_far &= extremes.values[k] - extremes.values[k - 1] > _GAP * spread
        far[0, :i] |= is_far
        far[1, :j] |= is_far
    return far.reshape(-1, far.shape[-1])


def _binary(found: _Columns) -> list[str]:
    """Describe columns of two values, such as one-hot categories, beside columns of reals."""
    low, high = found.low.values, -found.high.values
    binary = (low[1] == high[0]) & (low[0] == high[1])
    if not binary.any() or binary.all():
        return []
    return [
        f"only two values stand in {_named(np.flatnonzero(binary))}, beside real numbers: all "
        "columns have one likelihood, which takes these as real numbers too"
    ]


def _named(columns: np.ndarray, noun: str = "column") -> str:
    """Name the first of some columns, and count the others."""
    more = f" and {len(columns) - 1} others" if len(columns) > 1 else ""
    return f"{noun} {columns[0]}{more}"
