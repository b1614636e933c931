"""Measures of columns: their extreme values, and those that recur far from the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

_LEAST_COUNT = 3  # times that a sentinel occurs in a column
_MOST_SENTINELS = 3  # at each end of a column
_GAP = 2.0  # its distance from the other values, in ranges of these


def sentinels_of(numbers: np.ndarray) -> list[float]:
    """Return values such as −999, which recur far from the rest of some numbers, (N,) with NaN."""
    found = MeasuredColumns.of(numbers[:, None])
    values, far = recurring(found)
    return [float(value) for value in np.unique(values[far])]


@dataclass(frozen=True)
class Extremes:
    """The least distinct values of each column in ascending order, and how often each occurs.

    Attributes:
        values: (K, D), NaN where there are no more.
        counts: (K, D).
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, counts: np.ndarray | int = 1) -> "Extremes":
        """Find the least values of rows (N, D), each of which occurs `counts` times."""
        values, numbers = [], []
        for _ in range(_MOST_SENTINELS + 1):
            values.append(np.fmin.reduce(rows, axis=0))
            numbers.append(np.where(rows == values[-1], counts, 0).sum(0))
            rows = np.where(rows > values[-1], rows, np.nan)
        return cls(np.array(values), np.array(numbers))

    def joined(self, other: "Extremes") -> "Extremes":
        """Return those of both."""
        return Extremes.of(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.counts, other.counts]),
        )


@dataclass(frozen=True)
class MeasuredColumns:
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
    low: Extremes
    high: Extremes
    ends: np.ndarray
    counting: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: np.ndarray) -> "MeasuredColumns":
        """Measure rows, (N, D)."""
        counting = (rows[1:] - rows[:-1] == 1).all(0)
        return cls(len(rows), Extremes.of(rows), Extremes.of(-rows), rows[[0, -1]], counting)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "MeasuredColumns":
        """Return the facts of which `arrays` were made."""
        low, high = (Extremes(arrays[e], arrays[f"{e} counts"]) for e in ("low", "high"))
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

    def joined(self, other: "MeasuredColumns") -> "MeasuredColumns":
        """Return the facts of these rows and those that follow them."""
        number = self.number + other.number
        low, high = self.low.joined(other.low), self.high.joined(other.high)
        counting = self.counting & other.counting & (other.ends[0] - self.ends[1] == 1)
        return MeasuredColumns(number, low, high, np.array([self.ends[0], other.ends[1]]), counting)


def recurring(found: MeasuredColumns) -> tuple[np.ndarray, np.ndarray]:
    """Return the extreme values, and which of them recur far from the rest, (2 K, D) both."""
    values = np.concatenate([found.low.values, -found.high.values])
    counts = np.concatenate([found.low.counts, found.high.counts])
    return values, _far(found) & (counts >= _LEAST_COUNT)


def _far(found: MeasuredColumns) -> np.ndarray:
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
