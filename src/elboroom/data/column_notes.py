"""Notes on columns: empty, constant, binary, numbers of rows, or with values that mean missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import islice, product

import numpy as np

from elboroom.data.sharded_array import Stored, stays_on_disk
from elboroom.data.sharing import errors_of_all, own_rows, spread
from elboroom.data.source import Source, in_chunks, in_share

_LEAST_COUNT = 3  # times that a sentinel occurs in a column
_MOST_SENTINELS = 3  # at each end of a column
_GAP = 2.0  # its distance from the other values, in ranges of these


def column_notes(source: Source) -> list[str]:
    """Describe the columns of tables of reals, and the channels of images, worth a look.

    The rows, which may be on disk, are read once. Of images of reals some millions of values are
    looked at, and their channels are the columns.
    """
    rows = source.train.images
    if rows.ndim != 2:
        return _constant_channels(rows) + _sentinels_of_channels(rows)
    if rows.dtype.kind != "f":
        return []
    found = _columns(rows, source.columns)
    notes = _empty(found)
    notes += _constant(found) + _row_numbers(found) if len(rows) > 1 else []
    for part in source.parts:
        place = "" if part is source.train else f" of {part.origin or 'a held-out part'}"
        columns = found if part is source.train else _columns(part.images, source.columns)
        notes += _sentinels(columns, "column", place)
    return notes + _binary(found)


def sentinels_of(numbers: np.ndarray) -> list[float]:
    """Return values such as −999, which recur far from the rest of some numbers, (N,) with NaN."""
    found = _Columns.of(numbers[:, None])
    values, far = _recurring(found)
    return [float(value) for value in np.unique(values[far])]


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
        ends: (2, D), the first and the last value.
        counting: (D,), True where each value is 1 more than the one before.
        names: the name of each column, (D,); empty if they have none.
    """

    number: int
    low: _Extremes
    high: _Extremes
    ends: np.ndarray
    counting: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: np.ndarray) -> "_Columns":
        counting = (rows[1:] - rows[:-1] == 1).all(0)
        return cls(len(rows), _Extremes.of(rows), _Extremes.of(-rows), rows[[0, -1]], counting)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "_Columns":
        """Return the facts of which `arrays` were made."""
        low, high = (_Extremes(arrays[e], arrays[f"{e} counts"]) for e in ("low", "high"))
        return cls(int(arrays["number"]), low, high, arrays["ends"], arrays["counting"])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the facts as arrays, to tell them to other ranks."""
        return {
            "number": np.array(self.number),
            "low": self.low.values,
            "low counts": self.low.counts,
            "high": self.high.values,
            "high counts": self.high.counts,
            "ends": self.ends,
            "counting": self.counting,
        }

    def joined(self, other: "_Columns") -> "_Columns":
        number = self.number + other.number
        low, high = self.low.joined(other.low), self.high.joined(other.high)
        counting = self.counting & other.counting & (other.ends[0] - self.ends[1] == 1)
        return _Columns(number, low, high, np.array([self.ends[0], other.ends[1]]), counting)


def _columns(rows: Stored, names: tuple[str, ...]) -> _Columns:
    """Measure the columns of rows, of which ranks share those on disk."""
    on_disk = stays_on_disk(rows)
    with errors_of_all(on_disk=on_disk):
        chunks = map(_Columns.of, in_share(rows))
        mine = [reduce(_Columns.joined, chunks, first) for first in islice(chunks, 1)]
    ranks = spread([columns.arrays() for columns in mine], on_disk=on_disk)
    return replace(reduce(_Columns.joined, map(_Columns.from_arrays, ranks)), names=names)


def _empty(found: _Columns) -> list[str]:
    columns = np.flatnonzero(np.isnan(found.low.values[0]))
    if not len(columns):
        return []
    named = _named(columns, names=found.names)
    return [f"no row has a value in {named}: what is filled in there is made up"]


def _constant(found: _Columns) -> list[str]:
    columns = np.flatnonzero(found.low.values[0] == -found.high.values[0])
    if not len(columns):
        return []
    first = _named_constants(columns, float(found.low.values[0, columns[0]]), names=found.names)
    return [f"{first}: it adds an arbitrary constant to log p(x), so leave it out"]


def _row_numbers(found: _Columns) -> list[str]:
    columns = np.flatnonzero(found.counting)
    if not len(columns):
        return []
    named, first = _named(columns, names=found.names), found.ends[0, columns[0]]
    return [f"{named} counts the rows, from {first:g}: leave it out"]


def _constant_channels(images: Stored) -> list[str]:
    """Describe channels that have one value in all images, such as the alpha of opaque ones."""
    if images.ndim != 4 or images.shape[1] == 1 or len(images) == 1:
        return []
    first, varies = _firsts(images)
    channels = np.flatnonzero(~varies)
    if not len(channels):
        return []
    return [
        _named_constants(channels, float(first[channels[0], 0, 0]), "channel") + ": leave it out"
    ]


def _firsts(images: Stored) -> tuple[np.ndarray, np.ndarray]:
    """Return a value of each channel (C, 1, 1), and whether another value differs from it (C,)."""
    on_disk, own = stays_on_disk(images), own_rows(images)
    mine = list[dict[str, np.ndarray]]()
    with errors_of_all(on_disk=on_disk):
        if own.start < own.stop:
            first = np.array(images[own.start, :, :1, :1])
            differs = [(chunk != first).any((0, 2, 3)) for chunk in in_share(images)]
            mine = [{"first": first, "varies": np.any(differs, axis=0)}]
    ranks = spread(mine, on_disk=on_disk)
    first = ranks[0]["first"]
    varies = [rank["varies"] | (rank["first"] != first)[:, 0, 0] for rank in ranks]
    return first, np.any(varies, axis=0)


def _sentinels_of_channels(images: Stored) -> list[str]:
    if images.dtype.kind != "f":
        return []
    first = next(in_chunks(images))
    values = np.moveaxis(first, 1, -1).reshape(-1, images.shape[1])
    return _sentinels(_Columns.of(values), "channel", "")


def _sentinels(found: _Columns, noun: str, place: str) -> list[str]:
    """Describe values such as −999, which recur far from the rest and may stand for missing ones.

    A column may have a few of them, at either end, beside lone outliers. `place` is the part of the
    data, in words.
    """
    values, far = _recurring(found)
    counts = np.concatenate([found.low.counts, found.high.counts])
    return [
        f"{value:g} stands in {100 * counts[here].mean() / found.number:.3g} % of "
        f"{_named(np.flatnonzero(here.any(0)), noun, found.names)}{place}, far from the other "
        "values: if it means missing, save NaN in its place"
        for value in np.unique(values[far])
        for here in [far & (values == value)]
    ]


def _recurring(found: _Columns) -> tuple[np.ndarray, np.ndarray]:
    """Return the extreme values, and which of them recur far from the rest, (2 K, D) both."""
    values = np.concatenate([found.low.values, -found.high.values])
    counts = np.concatenate([found.low.counts, found.high.counts])
    return values, _far(found) & (counts >= _LEAST_COUNT)


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
    named = _named(np.flatnonzero(binary), names=found.names)
    return [
        f"only two values stand in {named}, beside real numbers: all "
        "columns have one likelihood, which takes these as real numbers too"
    ]


def _named_constants(
    columns: np.ndarray, first: float, noun: str = "column", names: Sequence[str] = ()
) -> str:
    verb = "varies" if len(columns) == 1 else "vary"
    return f"{_named(columns, noun, names)} never {verb}, from {first:g}"


def _named(columns: np.ndarray, noun: str = "column", names: Sequence[str] = ()) -> str:
    """Name the first of some columns, and count the others."""
    more = f" and {len(columns) - 1} others" if len(columns) > 1 else ""
    return f"{noun} {names[columns[0]] if names else columns[0]}{more}"
