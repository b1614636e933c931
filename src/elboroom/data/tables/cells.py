"""The cells of one column of a frame: which are missing, and the different values of the others."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from numbers import Number

import numpy as np
import pandas as pd

from elboroom.data.tables.missing_words import WORDS
from elboroom.data.tables.number_text import parse_number


@dataclass(frozen=True)
class Cells:
    """The cells of a column.

    Attributes:
        codes: (N,) the place of each cell among `values`; -1 where it is missing.
        values: the different values in order of appearance; text without the spaces around it.
        counts: how often each occurs, (U,).
        words: the words that stand for missing cells, and how often each does.
        categories: values of a pandas category in their order; None for other columns.
        ordered: True if that order has a meaning.
        usable: False if cells are lists, bytes or other things that are no entries of a table.
    """

    codes: np.ndarray
    values: tuple[object, ...]
    counts: np.ndarray
    words: dict[str, int]
    categories: tuple[object, ...] | None = None
    ordered: bool = False
    usable: bool = True
    _numbers: dict[str, list[float | None]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, cells: pd.Series, missing: Collection[str | float] = (), keep: Collection[str] = ()
    ) -> "Cells":
        """Sort out the cells of a column.

        Args:
            cells: the column.
            missing: entries that mean missing, beside the words that always do.
            keep: words that mean a level, and not missing.
        """
        kind = cells.dtype if isinstance(cells.dtype, pd.CategoricalDtype) else None
        plain = cells if kind is None else cells.astype(object)
        try:
            codes, found = pd.factorize(plain)
        except TypeError:  # lists have no hash
            return cls(np.full(len(cells), -1), (), np.zeros(0, int), {}, usable=False)
        values = [_stripped(value) for value in pd.Series(found).tolist()]
        gone = _Missing(missing, WORDS - {*keep})
        places, kept = _places(values, gone)
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        words = {
            str(value): int(count)
            for value, count, place in zip(values, counts, places, strict=True)
            if place < 0 and str(value)
        }
        mapped = np.array([*places, -1])[codes]
        return cls(
            codes=mapped,
            values=tuple(kept),
            counts=np.bincount(mapped[mapped >= 0], minlength=len(kept)),
            words=words,
            categories=None if kind is None else tuple(map(_stripped, kind.categories.tolist())),
            ordered=kind is not None and bool(kind.ordered),
            usable=all(map(_is_entry, {*map(type, kept)})),
        )

    @property
    def missing(self) -> np.ndarray:
        """True where a cell is missing, (N,)."""
        return self.codes < 0

    @property
    def known(self) -> int:
        """The number of cells that are not missing."""
        return int(self.counts.sum())

    @property
    def texts(self) -> list[str]:
        """The different values as text."""
        return [str(value) for value in self.values]

    @property
    def are_text(self) -> bool:
        """True if some different value is text."""
        return any(isinstance(value, str) for value in self.values)

    def expand(self, of_values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the number of each cell, (N,), from that of each different value, (U,)."""
        return np.append(np.asarray(of_values, np.float64), np.nan)[self.codes]

    def numbers(self, decimal: str = ".") -> list[float | None]:
        """Return the number that each different value is, or None."""
        if decimal not in self._numbers:
            self._numbers[decimal] = [as_number(value, decimal) for value in self.values]
        return self._numbers[decimal]


def as_number(value: object, decimal: str = ".") -> float | None:
    """Return the number that a value is, or None; True and False are none."""
    if isinstance(value, str):
        return parse_number(value, decimal)
    if type(value) is float or type(value) is int:
        return float(value)
    if isinstance(value, bool | np.bool_ | complex | np.complexfloating):
        return None
    return float(value) if isinstance(value, Number | Decimal) else None  # type: ignore[arg-type]


def level_key(value: object) -> str:
    """Return the level that a value is, as text: equal numbers have one, such as 1 for "1.0"."""
    number = as_number(value)
    if number is not None and abs(number) < 1e15:
        return str(int(number)) if number == int(number) else repr(number)
    return value.isoformat() if isinstance(value, date) else str(value)


class _Missing:
    """The test whether a value means missing."""

    def __init__(self, told: Collection[str | float], words: Collection[str]) -> None:
        numbers = {as_number(value) for value in told} - {None}
        self._words, self._numbers = {*words, *map(str, told)}, numbers

    @property
    def are_words(self) -> bool:
        """True if no number means missing."""
        return not self._numbers

    def __contains__(self, value: object) -> bool:
        if isinstance(value, str) and value in self._words:
            return True
        if self._words and isinstance(value, date):
            return not self._words.isdisjoint((value.isoformat(), value.isoformat()[:10]))
        return bool(self._numbers) and as_number(value) in self._numbers


def _places(values: Sequence[object], gone: _Missing) -> tuple[list[int], list[object]]:
    """Return the place of each value among the different ones that are not missing, and these."""
    kept = dict[object, int]()
    if gone.are_words and {*map(type, values)} <= {float, int}:
        return list(range(len(values))), [*values]
    places = [-1 if value in gone else kept.setdefault(value, len(kept)) for value in values]
    return places, [*kept]


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _is_entry(kind: type) -> bool:
    """Return whether values of a type are entries of a table."""
    if issubclass(kind, complex | np.complexfloating | np.timedelta64 | pd.Timedelta):
        return False
    return issubclass(kind, str | bool | np.bool_ | Number | Decimal | date | np.datetime64)
