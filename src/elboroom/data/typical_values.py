"""The values that rows usually have, which show whether other rows are in the same units."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma, log

import numpy as np

from elboroom.data.part import Part
from elboroom.data.source import rows_at_once

LEVELS = np.array([0.01, *np.arange(0.05, 0.96, 0.05), 0.99])
MOST_ROWS = 1024  # compared: more hardly move a quantile
_FALSE_ALARMS = 1e-4  # at most, over all columns, for rows that are drawn like those of training
_MOST, _NEARLY_ALL = 0.5, 0.9  # shares of the rows, above which a column is told
_MOST_NAMED = 4  # columns


@dataclass(frozen=True)
class TypicalValues:
    """Quantiles over rows of each column: each value of a vector, each channel's mean of an image.

    A hint needs a difference that is large and that chance explains at most once in 10,000 data
    sets, whatever the distribution of the values: order statistics tell how probable a new row is
    between two quantiles.

    Attributes:
        quantiles: (21, columns) at `LEVELS`, each a value that occurs; NaN where none is known.
        known: (columns,), the number of rows that they are taken of.
        event_shape: shape of one row.
    """

    quantiles: np.ndarray
    known: np.ndarray
    event_shape: tuple[int, ...]

    @classmethod
    def of(cls, part: Part) -> "TypicalValues":
        """Measure up to 1,024 rows of a part, spread over all of it."""
        values = _columns(part)
        known = (~np.isnan(values)).sum(0)
        ordered = np.sort(values, axis=0)  # NaN comes last
        quantiles = np.take_along_axis(ordered, _places(known) - 1, axis=0)
        return cls(quantiles, known, tuple(part.images.shape[1:]))

    def differences(self, part: Part, columns: Sequence[str] = ()) -> list[str]:
        """Describe how the rows of a part differ as those in other units would; mostly by nothing.

        Args:
            part: rows of the same shape.
            columns: the name of each column; without them they are named by their numbers.

        Returns:
            A phrase for columns whose values are elsewhere, and one for those that vary too little.
        """
        values = _columns(part)
        far, narrow = self._are_far(values), self._are_narrow(values)
        names = [*columns] or [str(column) for column in range(values.shape[1])]
        found = self._described(far, values, "are outside 98 %", names)
        return found + self._described(narrow & ~far, values, "are within the same tenth", names)

    def _are_far(self, values: np.ndarray) -> np.ndarray:
        """Return the columns (D,) in which most rows are below the 1 % or above the 99 % level."""
        places, (low, high) = _places(self.known), self.quantiles[[0, -1]]
        outside = ((values < low) | (values > high)).sum(0)
        return self._are_unlike(outside, values, self.known + 1 - (places[-1] - places[0]), _MOST)

    def _are_narrow(self, values: np.ndarray) -> np.ndarray:
        """Return the columns (D,) that vary, nearly all rows between two of the levels."""
        places, found = _places(self.known), np.zeros(len(self.known), dtype=bool)
        for low, high in zip(range(len(LEVELS) - 2), range(2, len(LEVELS)), strict=True):
            inside = ((values > self.quantiles[low]) & (values < self.quantiles[high])).sum(0)
            found |= self._are_unlike(inside, values, places[high] - places[low], _NEARLY_ALL)
        return found & (np.fmin.reduce(values) < np.fmax.reduce(values))

    def _are_unlike(
        self, count: np.ndarray, values: np.ndarray, gaps: np.ndarray, share: float
    ) -> np.ndarray:
        """Return the columns (D,) of which more than a share of the rows is where few should be.

        Args:
            count: rows that are there, (D,).
            values: (N, D).
            gaps: how many of the n + 1 gaps between n training values are there, (D,).
            share: of the known rows.
        """
        rows, tests = (~np.isnan(values)).sum(0), len(self.known) * len(LEVELS)
        found = count > share * rows
        for column in np.flatnonzero(found):
            chance = _log_chance(
                int(count[column]), int(rows[column]), int(gaps[column]), int(self.known[column])
            )
            found[column] = chance < log(_FALSE_ALARMS / tests)
        return found

    def _described(
        self, columns: np.ndarray, values: np.ndarray, how: str, names: Sequence[str]
    ) -> list[str]:
        """Describe the columns that differ, with the range of the first, if there are any."""
        found = np.flatnonzero(columns)
        if not len(found):
            return []
        new = np.fmin.reduce(values[:, found[0]]), np.fmax.reduce(values[:, found[0]])
        usual = self.quantiles[[0, -1], found[0]]
        ranges = ["{:.3g} to {:.3g}".format(*ends) for ends in (new, usual)]
        name, rows, by = self._words
        shown = [names[column] for column in found.tolist()]
        return [
            f"in {_named(name, shown)} most {rows} {how} of the training {rows}{by} "
            f"({name} {shown[0]}: {ranges[0]}; there {ranges[1]})"
        ]

    @property
    def _words(self) -> tuple[str, str, str]:
        """The words for a column, for rows, and for what is compared of them."""
        is_vector = len(self.event_shape) == 1
        return ("column", "rows", "") if is_vector else ("channel", "images", " by their mean")


def _named(word: str, columns: Sequence[str]) -> str:
    """Name the first of some columns, and count the others."""
    more = len(columns) - _MOST_NAMED
    shown = ", ".join(columns[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{word}{'s' if len(columns) > 1 else ''} {shown}"


def _places(known: np.ndarray) -> np.ndarray:
    """Return the places of the quantiles among n ordered values, counted from 1, (21, columns)."""
    return np.rint(np.outer(LEVELS, known + 1)).astype(int).clip(1, np.maximum(known, 1))


def _log_chance(count: int, rows: int, gaps: int, known: int) -> float:
    """Bound log P that `count` of the rows fall into `gaps` of the gaps between known values.

    Which of all values are new is random, so the probability p of these gaps is distributed as
    Beta(gaps, known + 1 - gaps) (Wilks, *Annals of Mathematical Statistics* 12 (1941)).
    """
    a, b = max(1, gaps), known + 1 - max(1, gaps)
    if b < 1:  # every value is there
        return 0.0
    # P(at least k of N) <= C(N, k) E[p^k]
    choices = lgamma(rows + 1) - lgamma(count + 1) - lgamma(rows - count + 1)
    return choices + _log_beta(a + count, b) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _columns(part: Part) -> np.ndarray:
    """Return what is compared of some rows, (N, columns), NaN where it is missing."""
    shape = tuple(part.images.shape[1:])
    most = MOST_ROWS if len(shape) > 1 else min(MOST_ROWS, rows_at_once(shape))
    index = np.linspace(0, len(part) - 1, min(len(part), most)).round().astype(int)
    chunks = np.array_split(index, -(-len(index) // rows_at_once(shape)))
    return np.concatenate([_summarised(part, chunk.tolist()) for chunk in chunks])


def _summarised(part: Part, index: list[int]) -> np.ndarray:
    x = part.rows(index).drawn_once().x
    return (x if x.ndim == 2 else x.flatten(2).nanmean(2)).cpu().numpy()
