"""The type of a column, by stated rules, and the reason for it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from elboroom.config.kinds import ColumnType
from elboroom.data.labels import in_natural_order
from elboroom.data.tables.cells import Cells, level_key
from elboroom.data.tables.column import LEVEL_TYPES, Column, option, refused
from elboroom.data.tables.date_values import (
    date_formats,
    days_of_dates,
    days_of_texts,
    is_date,
    time_of,
)
from elboroom.data.tables.number_text import decimal_marks, decimals_of
from elboroom.data.tables.options import ColumnOptions
from elboroom.data.tables.shape import (
    is_dispersed,
    is_heavy_tailed,
    is_log_normal,
    is_overdispersed,
)

MOST_LEVELS = 50
"""The most texts of a column that is taken for one of levels unasked."""
MOST_ASKED = 10_000
"""The most levels of any column."""
_LEAST_ROWS = 2  # for each text of levels, on average
_MOST_WHOLE, _LEAST_WHOLE = 20, 0.25  # levels that whole numbers are; rows of each by the mean
_ROWS_OF_WHOLE = 5  # for each of these, on average
_MOSTLY = 0.9  # share of texts that are numbers, above which the others are taken for words
_MOST_SHOWN = 6
_LARGEST = 1e18  # float32 holds its square
_FINE = 1e-4  # standard deviations by which float32 may round
_EXACT = 2.0**24  # the largest count that float32 holds exactly
_IDENTIFIER = re.compile(
    r"(?i:(?:.*[\W_])?(?:id|uuid|guid|index|idx|key|rowid|row|no|nr)|unnamed.*|)|.*[a-z]I[dD]"
)


def column_of(name: str, cells: Cells, said: ColumnOptions, known_words: str = "") -> Column:
    """Return a column of the type that is said, or else of the first type whose rule fits.

    Args:
        name: its name.
        cells: its cells.
        said: its options.
        known_words: what to add to the reason.

    Raises:
        DataError: if its entries are not of the type that is said, or cannot be used.
    """
    if said.type == "ignore":
        return Column(name, "ignore", why=said.why or "as asked")
    found = _Found(name, cells, said)
    column = found.asked(said.type) if said.type is not None else found.inferred()
    missing = f"{len(cells.codes) - cells.known:,} missing"
    why = f"{column.why}; {missing}" if cells.missing.any() and column.modelled else column.why
    return replace(column, missing=said.missing, why=why)


@dataclass(frozen=True)
class _Found:
    """The facts of a column that rules ask for."""

    name: str
    cells: Cells
    said: ColumnOptions

    def asked(self, kind: ColumnType) -> Column:
        if not self.cells.known and self.said.levels is None:
            raise refused(
                self.name,
                f"found no value; a {kind} needs some",
                f"leave it out: {option(self.name, 'type', 'ignore')}",
            )
        if kind in LEVEL_TYPES:
            return self._levels(kind)
        return self._date() if kind == "date" else self._number(kind)

    def inferred(self) -> Column:
        rules = (self._left_out, self._of_levels, self._of_dates, self._of_numbers, self._of_text)
        return next(column for rule in rules if (column := rule()) is not None)

    # Rules, in the order in which they are asked.

    def _left_out(self) -> Column | None:
        cells = self.cells
        if not cells.usable:
            return self._ignored("its cells are no numbers, texts, dates or booleans")
        if not cells.known:
            return self._ignored("no row has a value")
        if len(cells.values) == 1 and self.said.levels is None:
            return self._ignored(f"every known value is {_short(cells.values[0])}")
        return None

    def _of_levels(self) -> Column | None:
        cells = self.cells
        if self.said.levels is not None:
            return self._levels("binary" if len(self.said.levels) == 2 else "category")
        if all(isinstance(value, bool | np.bool_) for value in cells.values):
            return self._levels("binary")
        if cells.categories is None:
            return None
        if len(cells.values) == 2:
            return self._levels("binary")
        return self._levels("ordinal" if cells.ordered else "category")

    def _of_dates(self) -> Column | None:
        return self._date() if self._numbers is None and self._are_dates else None

    def _of_numbers(self) -> Column | None:
        if self._numbers is None:
            return None
        reason = self._identifier()
        if reason is not None:
            return self._ignored(reason)
        return self._number(None)

    def _of_text(self) -> Column:
        cells, count = self.cells, len(self.cells.values)
        self._require_no_stray_words()
        self._require_clear_decimals()
        if count == cells.known:
            return self._ignored("identifier or free text: every known value is another one")
        if count == 2:
            return self._levels("binary")
        if count > MOST_LEVELS or cells.known < _LEAST_ROWS * count:
            line = option(self.name, "type", "category")
            return self._ignored(
                f"free text: {count:,} different texts in {cells.known:,} rows; if they are "
                f"categories, say {line}"
            )
        return self._levels("category")

    # Numbers.

    @cached_property
    def _decimal(self) -> str:
        """The decimal mark, "." unless "," alone makes every text a number without doubt."""
        if self.said.decimal is not None:
            return self.said.decimal
        return "," if self._with_commas and decimal_marks(self._texts) == [","] else "."

    @cached_property
    def _texts(self) -> list[str]:
        return [value for value in self.cells.values if isinstance(value, str)]

    @cached_property
    def _with_commas(self) -> list[str]:
        return [text for text in self._texts if "," in text]

    @cached_property
    def _numbers(self) -> np.ndarray | None:
        """The number of each known cell, (K,); None if some is no number."""
        found = self.cells.numbers(self._decimal)
        if None in found or self._are_ambiguous:
            return None
        every = self.cells.expand(found)  # type: ignore[arg-type]
        self._require_finite(every)
        return every[~np.isnan(every)]

    @cached_property
    def _are_ambiguous(self) -> bool:
        """True if a comma may be a decimal mark, and may part thousands as well."""
        if self.said.decimal is not None:
            return False
        return bool(self._with_commas) and decimal_marks(self._texts) == [".", ","]

    def _require_clear_decimals(self) -> None:
        if self._are_ambiguous:
            raise refused(
                self.name,
                f"the comma of {self._with_commas[0]} may part decimals or thousands",
                f"say which: {option(self.name, 'decimal', ',')} for decimals, or "
                f"{option(self.name, 'decimal', '.')} for thousands",
            )

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
        if largest > _LARGEST:
            raise refused(
                self.name,
                f"found values up to {largest:g}; expected at most {_LARGEST:g}, whose square "
                "float32 holds",
                "give it in another unit, or leave it out: " + option(self.name, "type", "ignore"),
            )

    def _require_no_stray_words(self) -> None:
        """Refuse text that is nearly all numbers, unless it has few different values."""
        found = self.cells.numbers(self._decimal)
        words = [t for t, number in zip(self.cells.texts, found, strict=True) if number is None]
        share = 1 - len(words) / len(found)
        if share < _MOSTLY or len(found) <= _MOST_WHOLE or not words:
            return
        raise refused(
            self.name,
            f"beside numbers it holds {_listed(words)}",
            f"say that they are missing: {option(self.name, 'missing', words[:_MOST_SHOWN])}, or "
            f"leave the column out: {option(self.name, 'type', 'ignore')}",
        )

    def _identifier(self) -> str | None:
        numbers, cells = self._numbers, self.cells
        if numbers is None or not _are_whole(numbers) or len(cells.values) < len(cells.codes):
            return None
        if (np.diff(numbers) == 1).all():
            return f"identifier: it counts the rows, from {numbers[0]:.0f}"
        if _IDENTIFIER.fullmatch(self.name):
            return "identifier: every row has another whole number, and the name is one of an id"
        return None

    def _number(self, kind: ColumnType | None) -> Column:
        numbers = self._required_numbers(kind or "real")
        whole = _are_whole(numbers)
        if kind is None:
            kind = self._kind_of(numbers, whole=whole)
        if kind in LEVEL_TYPES:
            return self._levels(kind)
        self._require_range(kind, numbers, whole=whole)
        column = self._made(kind, why=_range(numbers, whole=whole), numbers=numbers)
        decimals = 0 if whole else self._decimals()
        said = self.said.decimals
        decimals = decimals if said is None else said
        return replace(column, decimals=decimals, decimal=self._decimal)

    def _required_numbers(self, kind: ColumnType) -> np.ndarray:
        if self._numbers is None:
            self._require_clear_decimals()
            found = self.cells.numbers(self._decimal)
            words = [t for t, n in zip(self.cells.texts, found, strict=True) if n is None]
            raise refused(
                self.name,
                f"found {_listed(words)}; a {kind} needs numbers",
                f"say that they are missing: {option(self.name, 'missing', words[:_MOST_SHOWN])}, "
                f"or another type: {option(self.name, 'type', 'category')}",
            )
        return self._numbers

    def _kind_of(self, numbers: np.ndarray, *, whole: bool) -> ColumnType:
        different = len(self.cells.values)
        if different == 2 and len(numbers) > 2 and (whole or self.cells.counts.min() > 1):
            return "binary"
        if whole and self._are_few(numbers):
            return "ordinal"
        low, high = numbers.min(), numbers.max()
        if whole and low >= 0 and high < _EXACT and is_dispersed(numbers):
            return "count"
        return "positive" if low > 0 and is_log_normal(numbers) else "real"

    def _are_few(self, numbers: np.ndarray) -> bool:
        """Return whether whole numbers are few, and none is rare, unlike the largest counts."""
        counts = self.cells.counts
        enough = len(numbers) >= _ROWS_OF_WHOLE * len(counts)
        none_rare = bool(counts.min() >= _LEAST_WHOLE * counts.mean())
        return 3 <= len(counts) <= _MOST_WHOLE and enough and none_rare

    def _require_range(self, kind: ColumnType, numbers: np.ndarray, *, whole: bool) -> None:
        low = float(numbers.min())
        wrong = None
        if kind == "count" and not (whole and low >= 0):
            wrong = next(x for x in numbers.tolist() if x < 0 or x != int(x))
        if kind == "positive" and low <= 0:
            wrong = low
        if wrong is not None:
            raise refused(
                self.name,
                f"found {wrong:g}; a {kind} is "
                + ("a whole number from 0" if kind == "count" else "above 0"),
                f"say another type: {option(self.name, 'type', 'real')}, or that it means missing: "
                + option(self.name, "missing", [wrong]),
            )

    def _decimals(self) -> int | None:
        return decimals_of(self.cells.values, self._decimal)

    def _made(self, kind: ColumnType, why: str, numbers: np.ndarray) -> Column:
        likelihood = self.said.likelihood or _likelihood(kind, numbers)
        origin = self._origin(kind, numbers) if self.said.origin is None else self.said.origin
        self._require_spread(kind, numbers)
        return Column(self.name, kind, likelihood=likelihood, origin=origin, why=why)

    def _origin(self, kind: ColumnType, numbers: np.ndarray) -> float:
        if kind == "date":
            return float(np.floor(numbers.min()))
        if kind == "count" or numbers.min() == numbers.max():
            return 0.0
        largest = float(np.abs(numbers).max())
        is_fine = largest * 2.0**-24 < _FINE * numbers.std()
        # a log-normal entry stays above 0
        return 0.0 if is_fine or _likelihood(kind, numbers) == "log-normal" else _round(numbers)

    def _require_spread(self, kind: ColumnType, numbers: np.ndarray) -> None:
        spread = float(numbers.std())
        if kind != "count" and 0 < spread < 1 / _LARGEST:
            raise refused(
                self.name,
                f"its values differ by {spread:g}, which float32 cannot square",
                "give it in another unit, or leave it out: " + option(self.name, "type", "ignore"),
            )

    # Dates.

    @cached_property
    def _formats(self) -> list[str]:
        if self.said.format:
            return [self.said.format]
        return date_formats(self.cells.texts)

    @cached_property
    def _are_dates(self) -> bool:
        if all(map(is_date, self.cells.values)):
            return True
        return all(isinstance(v, str) for v in self.cells.values) and bool(self._formats)

    def _date(self) -> Column:
        days, form = self._days()
        if np.isnan(days).any():
            found = [t for t, d in zip(self.cells.texts, days, strict=True) if np.isnan(d)]
            raise refused(
                self.name,
                f"found {_listed(found)}; expected dates" + (f" as {form}" if form else ""),
                f"say their format: {option(self.name, 'format', '%d/%m/%Y')}",
            )
        every = self.cells.expand(days)
        numbers = every[~np.isnan(every)]
        decimals = 0 if (days == np.round(days)).all() and "%H" not in form else None
        first, last = (time_of(end, form, decimals) for end in (days.min(), days.max()))
        shown = form or ("%Y-%m-%d" if decimals == 0 else "%Y-%m-%d %H:%M:%S")
        why = f"dates {first.strftime(shown)} to {last.strftime(shown)}"
        why += f", as {form}" if form else ""
        column = self._made("date", why=why + self._other_formats(form), numbers=numbers)
        return replace(column, decimals=decimals, format=form)

    def _days(self) -> tuple[np.ndarray, str]:
        if all(map(is_date, self.cells.values)):
            return days_of_dates(self.cells.values), ""
        form = self._formats[0] if self._formats else ""
        if not form:
            return np.full(len(self.cells.values), np.nan), form
        return days_of_texts(self.cells.texts, form), form

    def _other_formats(self, form: str) -> str:
        others = [other for other in self._formats if other != form] if form else []
        if not others:
            return ""
        return f" (they could be {others[0]} too: say {option(self.name, 'format', others[0])})"

    # Levels.

    def _levels(self, kind: ColumnType) -> Column:
        found = self._found_levels()
        levels = found if self.said.levels is None else self._said_levels(found)
        self._require_order(kind, levels)
        if len(levels) > MOST_ASKED:
            raise refused(
                self.name,
                f"found {len(levels):,} levels; expected at most {MOST_ASKED:,}",
                f"leave it out: {option(self.name, 'type', 'ignore')}",
            )
        why = f"{len(levels)} levels: {_shortened(levels)}"
        if kind == "binary":
            why = f"two values: {_shortened(levels)}"
        if kind == "ordinal":
            why = f"{len(levels)} levels in order: {_shortened(levels)}"
        likelihood = (self.said.likelihood or "").partition(":")[0]
        return Column(self.name, kind, levels=levels, likelihood=likelihood, why=why)

    def _found_levels(self) -> tuple[str, ...]:
        if self.cells.categories is not None:
            present = {level_key(value) for value in self.cells.values}
            keys = dict.fromkeys(map(level_key, self.cells.categories))
            found = [key for key in keys if key in present]
            return tuple(found if self.cells.ordered else _sorted(found))
        return tuple(_sorted(dict.fromkeys(map(level_key, self.cells.values))))

    def _said_levels(self, found: Sequence[str]) -> tuple[str, ...]:
        said = tuple(map(level_key, self.said.levels or ()))
        unknown = [level for level in found if level not in said]
        if unknown:
            raise refused(
                self.name,
                f"found {_listed(unknown)}, which its levels do not name",
                f"add them to {option(self.name, 'levels', said)}, or say that they are missing: "
                + option(self.name, "missing", unknown[:_MOST_SHOWN]),
            )
        return said

    def _require_order(self, kind: ColumnType, levels: Sequence[str]) -> None:
        ordered = self.cells.ordered or self.said.levels is not None
        if kind == "ordinal" and not ordered and self._numbers is None:
            raise refused(
                self.name,
                f"the order of its levels is not known: {_shortened(levels)}",
                f"say them in their order: {option(self.name, 'levels', levels)}",
            )

    def _ignored(self, why: str) -> Column:
        return Column(self.name, "ignore", why=why)


def _likelihood(kind: ColumnType, numbers: np.ndarray) -> str:
    """Return the likelihood of numbers by the rules of `shape`."""
    if kind == "count":
        return "negative-binomial" if is_overdispersed(numbers) else "poisson"
    if kind == "positive" and is_log_normal(numbers):
        return "log-normal"
    return "student-t" if is_heavy_tailed(numbers) else "gaussian"


def _are_whole(numbers: np.ndarray) -> bool:
    return bool((numbers == np.floor(numbers)).all())


def _range(numbers: np.ndarray, *, whole: bool) -> str:
    noun = "whole numbers" if whole else "numbers"
    form: Callable[[float], str] = "{:.0f}".format if whole else "{:g}".format
    return f"{noun} {form(numbers.min())} to {form(numbers.max())}"


def _round(numbers: np.ndarray) -> float:
    return float(np.round(np.median(numbers)))


def _sorted(levels: Sequence[str] | dict[str, None]) -> list[str]:
    """Return levels in ascending order if they are numbers, else in natural order."""
    try:
        return sorted(levels, key=float)
    except ValueError:
        return in_natural_order(levels)


def _short(value: object) -> str:
    text = level_key(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _shortened(levels: Sequence[str]) -> str:
    names = [_short(level) for level in levels]
    if len(names) <= 2 * _MOST_SHOWN:
        return ", ".join(names)
    return ", ".join([*names[:_MOST_SHOWN], "…", names[-1]])


def _listed(words: Sequence[object]) -> str:
    names = ", ".join(repr(_short(word)) for word in words[:_MOST_SHOWN])
    more = len(words) - _MOST_SHOWN
    return names + (f" and {more:,} more" if more > 0 else "")
