"""Notes on the columns of a table: empty, constant, binary, or with a value that means missing."""

from dataclasses import dataclass
from functools import reduce

import numpy as np

from elboroom.data.source import Source, in_chunks

_LEAST_COUNT = 3  # times that a sentinel occurs in a column
_GAP = 2.0  # its distance from the other values, in ranges of these


def column_notes(source: Source) -> list[str]:
    """Describe the columns of the training rows that a user should look at, for reals.

    The rows, which may be on disk, are read once.
    """
    rows = source.train.images
    if rows.ndim != 2 or rows.dtype.kind != "f":
        return []
    found = reduce(_Columns.joined, map(_Columns.of, in_chunks(rows)))
    notes = _empty(found) + (_constant(found) if len(rows) > 1 else [])
    notes += _sentinels(1.0, found.low, -found.high.value, len(rows))
    notes += _sentinels(-1.0, found.high, -found.low.value, len(rows))
    return notes + _binary(found)


@dataclass(frozen=True)
class _Extreme:
    """The least value of each column, how often it occurs, and the least value above it, (D,)."""

    value: np.ndarray
    count: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "_Extreme":
        value = np.fmin.reduce(rows, axis=0)
        second = np.fmin.reduce(np.where(rows > value, rows, np.nan), axis=0)
        return cls(value, (rows == value).sum(0), second)

    def joined(self, other: "_Extreme") -> "_Extreme":
        value, both = np.fmin(self.value, other.value), (self, other)
        count = sum(np.where(one.value == value, one.count, 0) for one in both)
        above = [np.where(one.value > value, one.value, np.nan) for one in both]
        second = np.fmin.reduce([self.second, other.second, *above])
        return _Extreme(value, np.asarray(count), second)


@dataclass(frozen=True)
class _Columns:
    """The facts that one pass over rows finds of each column.

    Attributes:
        low: the least value.
        high: the least of the negated values.
        counts: (3, D), how many values are 0, are 1, and are known.
    """

    low: _Extreme
    high: _Extreme
    counts: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "_Columns":
        counts = [found.sum(0) for found in (rows == 0, rows == 1, ~np.isnan(rows))]
        return cls(_Extreme.of(rows), _Extreme.of(-rows), np.array(counts))

    def joined(self, other: "_Columns") -> "_Columns":
        low, high = self.low.joined(other.low), self.high.joined(other.high)
        return _Columns(low, high, self.counts + other.counts)


def _empty(found: _Columns) -> list[str]:
    columns = np.flatnonzero(np.isnan(found.low.value))
    if not len(columns):
        return []
    return [f"no row has a value in {_named(columns)}: what is filled in there is made up"]


def _constant(found: _Columns) -> list[str]:
    columns = np.flatnonzero(found.low.value == -found.high.value)
    if not len(columns):
        return []
    verb = "never varies" if len(columns) == 1 else "never vary"
    first = f"{_named(columns)} {verb}, from {found.low.value[columns[0]]:g}"
    return [f"{first}: it adds an arbitrary constant to log p(x), so leave it out"]


def _sentinels(sign: float, least: _Extreme, most: np.ndarray, rows: int) -> list[str]:
    """Describe values that are the least of a column (sign 1), recur, and are far below the rest.

    With sign −1, and negated values, they are the largest and far above. A value such as −999
    stands where others are missing.
    """
    far = (least.count >= _LEAST_COUNT) & (most > least.second)
    far &= least.second - least.value > _GAP * (most - least.second)
    return [
        f"{sign * value:g} stands in {100 * least.count[columns].mean() / rows:.3g} % of "
        f"{_named(np.flatnonzero(columns))}, far from the other values: if it means missing, "
        "save NaN in its place"
        for value in np.unique(least.value[far])
        for columns in [far & (least.value == value)]
    ]


def _binary(found: _Columns) -> list[str]:
    """Describe columns of 0 and 1, such as one-hot categories, beside columns of real numbers."""
    zeros, ones, known = found.counts
    binary = (zeros > 0) & (ones > 0) & (zeros + ones == known)
    if not binary.any() or binary.all():
        return []
    return [
        f"only 0 and 1 stand in {_named(np.flatnonzero(binary))}, beside real numbers: all columns "
        "have one likelihood, which takes these as real numbers too"
    ]


def _named(columns: np.ndarray) -> str:
    """Name the first of some columns, and count the others."""
    more = f" and {len(columns) - 1} others" if len(columns) > 1 else ""
    return f"column {columns[0]}{more}"
