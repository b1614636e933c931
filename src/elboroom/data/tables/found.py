"""The facts of a column that the rules of its type ask for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from elboroom.data.tables.cells import Cells
from elboroom.data.tables.column import option, refused
from elboroom.data.tables.date_values import date_formats, is_date
from elboroom.data.tables.listing import MOST_SHOWN, listed
from elboroom.data.tables.number_text import decimal_marks
from elboroom.data.tables.options import ColumnOptions

LARGEST = 1e18
"""The largest number that is taken; float32 holds its square."""
MOST_WHOLE = 20
"""The most different whole numbers that are levels."""
_MOSTLY = 0.9  # share of texts that are numbers, above which the others are taken for words


@dataclass(frozen=True)
class Found:
    """The facts of a column.

    Attributes:
        name: its name.
        cells: its cells.
        said: its options.
    """

    name: str
    cells: Cells
    said: ColumnOptions

    @cached_property
    def decimal(self) -> str:
        """The decimal mark, "." unless "," alone makes every text a number without doubt."""
        if self.said.decimal is not None:
            return self.said.decimal
        return "," if self._with_commas and decimal_marks(self._texts) == [","] else "."

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The number of each known cell, (K,); None if some is no number."""
        found = self.cells.numbers(self.decimal)
        if None in found or self._is_ambiguous:
            return None
        every = self.cells.expand(found)  # type: ignore[arg-type]
        self._require_finite(every)
        return every[~np.isnan(every)]

    @cached_property
    def words(self) -> list[str]:
        """The different values that are no numbers, as text."""
        found = self.cells.numbers(self.decimal)
        return [text for text, n in zip(self.cells.texts, found, strict=True) if n is None]

    @cached_property
    def formats(self) -> list[str]:
        """The formats that its texts may be dates of."""
        return [self.said.format] if self.said.format else date_formats(self.cells.texts)

    @cached_property
    def are_dates(self) -> bool:
        """True if every known entry is a date."""
        if all(map(is_date, self.cells.values)):
            return True
        return all(isinstance(v, str) for v in self.cells.values) and bool(self.formats)

    def require_clear_decimals(self) -> None:
        """Refuse commas that may part decimals and thousands."""
        if self._is_ambiguous:
            raise refused(
                self.name,
                f"the comma of {self._with_commas[0]} may part decimals or thousands",
                f"say which: {option(self.name, 'decimal', ',')} for decimals, or "
                f"{option(self.name, 'decimal', '.')} for thousands",
            )

    def require_no_stray_words(self) -> None:
        """Refuse text that is nearly all numbers, unless it has few different values."""
        words, count = self.words, len(self.cells.values)
        if not words or count <= MOST_WHOLE or count - len(words) < _MOSTLY * count:
            return
        raise refused(
            self.name,
            f"beside numbers it holds {listed(words)}",
            f"say that they are missing: {option(self.name, 'missing', words[:MOST_SHOWN])}, or "
            f"leave the column out: {option(self.name, 'type', 'ignore')}",
        )

    @cached_property
    def _texts(self) -> list[str]:
        return [value for value in self.cells.values if isinstance(value, str)]

    @cached_property
    def _with_commas(self) -> list[str]:
        return [text for text in self._texts if "," in text]

    @cached_property
    def _is_ambiguous(self) -> bool:
        """True if a comma may be a decimal mark, and may part thousands as well."""
        if self.said.decimal is not None:
            return False
        return bool(self._with_commas) and decimal_marks(self._texts) == [".", ","]

    def _require_finite(self, numbers: np.ndarray) -> None:
        infinite = int(np.isinf(numbers).sum())
        if infinite:
            raise refused(
                self.name,
                f"found {infinite:,} infinite values; expected finite ones",
                f"say that they are missing: {option(self.name, 'missing', ['inf', '-inf'])}, or "
                "write numbers in their place",
            )
        largest = float(np.nanmax(np.abs(numbers)))
        if largest > LARGEST:
            raise refused(
                self.name,
                f"found values up to {largest:g}; expected at most {LARGEST:g}, whose square "
                "float32 holds",
                "give it in another unit, or leave it out: " + option(self.name, "type", "ignore"),
            )
