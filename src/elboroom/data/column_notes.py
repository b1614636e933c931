"""Notes on columns: empty, constant, binary, numbers of rows, or with a value for missing ones."""

from dataclasses import dataclass
from functools import reduce

import numpy as np

from elboroom.data.source import Source, in_chunks

_LEAST_COUNT = 3  # times that a sentinel occurs in a column
_GAP = 2.0  # its distance from the other values, in ranges of these


def column_notes(source: Source) -> list[str]:
    """Describe the columns of tables of reals, and the channels of images, worth a look."""
    if source.train.images.ndim != 2:
        return _constant_channels(source.train.images)
    if source.train.images.dtype.kind != "f":
        return []
    found, rows = _Columns.all_of(source.train.images), len(source.train)
    notes = _empty(found)
    notes += _constant(found) + _row_numbers(found) if rows > 1 else []
    for part in source.parts:
        place = "" if part is source.train else f" of {part.origin or 'a held-out part'}"
        columns = found if part is source.train else _Columns.all_of(part.images)
        notes += _sentinels(columns, len(part), place)
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
        ends: (2, D), the first and the last value.
        counting: (D,), True where each value is 1 more than the one before.
    """

    low: _Extreme
    high: _Extreme
    counts: np.ndarray
    ends: np.ndarray
    counting: np.ndarray

    @staticmethod
    def all_of(rows: np.ndarray) -> "_Columns":
        """Find the facts of rows that may be on disk, reading them once."""
        return reduce(_Columns.joined, map(_Columns.of, in_chunks(rows)))

    @classmethod
    def of(cls, rows: np.ndarray) -> "_Columns":
        counts = [found.sum(0) for found in (rows == 0, rows == 1, ~np.isnan(rows))]
        counting = (rows[1:] - rows[:-1] == 1).all(0)
        return cls(_Extreme.of(rows), _Extreme.of(-rows), np.array(counts), rows[[0, -1]], counting)

    def joined(self, other: "_Columns") -> "_Columns":
        low, high = self.low.joined(other.low), self.high.joined(other.high)
        counting = self.counting & other.counting & (other.ends[0] - self.ends[1] == 1)
        ends = np.array([self.ends[0], other.ends[1]])
        return _Columns(low, high, self.counts + other.counts, ends, counting)


def _empty(found: _Columns) -> list[str]:
    columns = np.flatnonzero(np.isnan(found.low.value))
    if not len(columns):
        return []
    return [f"no row has a value in {_named(columns)}: what is filled in there is made up"]


def _constant(found: _Columns) -> list[str]:
    columns = np.flatnonzero(found.low.value == -found.high.value)
    if not len(columns):
        return []
    first = _named_constants(columns, float(found.low.value[columns[0]]))
    return [f"{first}: it adds an arbitrary constant to log p(x), so leave it out"]


def _row_numbers(found: _Columns) -> list[str]:
    columns = np.flatnonzero(found.counting)
    if not len(columns):
        return []
    return [f"{_named(columns)} counts the rows, from {found.ends[0, columns[0]]:g}: leave it out"]


def _constant_channels(images: np.ndarray) -> list[str]:
    """Describe channels that have one value in all images, such as the alpha of opaque ones."""
    if images.ndim != 4 or images.shape[1] == 1 or len(images) == 1:
        return []
    first = images[0, :, :1, :1]
    varies = np.any([(chunk != first).any((0, 2, 3)) for chunk in in_chunks(images)], axis=0)
    channels = np.flatnonzero(~varies)
    if not len(channels):
        return []
    return [
        _named_constants(channels, float(first[channels[0], 0, 0]), "channel") + ": leave it out"
    ]


def _sentinels(found: _Columns, rows: int, place: str) -> list[str]:
    """Describe values at an end of a column that recur far from the rest, such as -999.

    Such a value stands where others are missing.
    """
    low, high = found.low, found.high
    notes = _sentinels_below(1.0, low, -high.value, rows, place)
    return notes + _sentinels_below(-1.0, high, -low.value, rows, place)


def _sentinels_below(
    sign: float, least: _Extreme, most: np.ndarray, rows: int, place: str
) -> list[str]:
    """Describe values that are the least of a column; the largest if `sign` is -1 and all are so.

    Args:
        sign: factor of all values.
        least: the least values.
        most: the largest values, (D,).
        rows: number of rows.
        place: the part of the data, in words.
    """
    far = (least.count >= _LEAST_COUNT) & (most > least.second)
    far &= least.second - least.value > _GAP * (most - least.second)
    return [
        f"{sign * value:g} stands in {100 * least.count[columns].mean() / rows:.3g} % of "
        f"{_named(np.flatnonzero(columns))}{place}, far from the other values: if it means "
        "missing, save NaN in its place"
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


def _named_constants(columns: np.ndarray, first: float, word: str = "column") -> str:
    verb = "varies" if len(columns) == 1 else "vary"
    return f"{_named(columns, word)} never {verb}, from {first:g}"


def _named(columns: np.ndarray, word: str = "column") -> str:
    """Name the first of some columns, and count the others."""
    more = f" and {len(columns) - 1} others" if len(columns) > 1 else ""
    return f"{word} {columns[0]}{more}"
