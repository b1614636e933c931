"""The type of a column, by stated rules, and the reason for it."""

import re
from dataclasses import replace

import numpy as np

from elboroom.config.kinds import ColumnType
from elboroom.data.tables.cells import Cells
from elboroom.data.tables.column import LEVEL_TYPES, Column, option, refused
from elboroom.data.tables.date_column import date_column
from elboroom.data.tables.found import Found
from elboroom.data.tables.level_column import level_column
from elboroom.data.tables.listing import short
from elboroom.data.tables.number_column import are_whole, number_column
from elboroom.data.tables.options import ColumnOptions

_MOST_TEXTS = 50  # that are levels unasked
_LEAST_ROWS = 2  # for each text of levels, on average
_IDENTIFIER = re.compile(
    r"(?i:(?:.*[\W_])?(?:id|uuid|guid|index|idx|key|rowid|row|no|nr)|unnamed.*|)|.*[a-z]I[dD]"
)


def column_of(name: str, cells: Cells, said: ColumnOptions) -> Column:
    """Return a column of the type that is said, or else of the first type whose rule fits.

    Args:
        name: its name.
        cells: its cells.
        said: its options.

    Raises:
        DataError: if its entries are not of the type that is said, or cannot be used.
    """
    if said.type == "ignore":
        return Column(name, "ignore", why=said.why or "as asked")
    found = Found(name, cells, said)
    column = _inferred(found) if said.type is None else _asked(found, said.type)
    missing = f"{len(cells.codes) - cells.known:,} missing"
    why = f"{column.why}; {missing}" if cells.missing.any() and column.modelled else column.why
    return replace(column, missing=said.missing, why=why)


def _asked(found: Found, kind: ColumnType) -> Column:
    if not found.cells.known and found.said.levels is None:
        raise refused(
            found.name,
            f"found no value; a {kind} needs some",
            f"leave it out: {option(found.name, 'type', 'ignore')}",
        )
    if kind in LEVEL_TYPES:
        return level_column(found, kind)
    return date_column(found) if kind == "date" else number_column(found, kind)


def _inferred(found: Found) -> Column:
    rules = (_left_out, _of_levels, _of_dates, _of_numbers, _of_text)
    return next(column for rule in rules if (column := rule(found)) is not None)


def _left_out(found: Found) -> Column | None:
    cells = found.cells
    if not cells.usable:
        return _ignored(found, "its cells are no numbers, texts, dates or booleans")
    if not cells.known:
        return _ignored(found, "no row has a value")
    if len(cells.values) == 1 and found.said.levels is None:
        return _ignored(found, f"every known value is {short(cells.values[0])}")
    return None


def _of_levels(found: Found) -> Column | None:
    cells = found.cells
    if found.said.levels is not None:
        return level_column(found, "binary" if len(found.said.levels) == 2 else "category")
    if all(isinstance(value, bool | np.bool_) for value in cells.values):
        return level_column(found, "binary")
    if cells.categories is None:
        return None
    if len(cells.values) == 2:
        return level_column(found, "binary")
    return level_column(found, "ordinal" if cells.ordered else "category")


def _of_dates(found: Found) -> Column | None:
    return date_column(found) if found.numbers is None and found.are_dates else None


def _of_numbers(found: Found) -> Column | None:
    if found.numbers is None:
        return None
    reason = _identifier(found)
    if reason is not None:
        return _ignored(found, reason)
    return number_column(found, None)


def _of_text(found: Found) -> Column:
    cells, count = found.cells, len(found.cells.values)
    found.require_no_stray_words()
    found.require_clear_decimals()
    if count == cells.known:
        return _ignored(found, "identifier or free text: every known value is another one")
    if count == 2:
        return level_column(found, "binary")
    if count > _MOST_TEXTS or cells.known < _LEAST_ROWS * count:
        line = option(found.name, "type", "category")
        return _ignored(
            found,
            f"free text: {count:,} different texts in {cells.known:,} rows; if they are "
            f"categories, say {line}",
        )
    return level_column(found, "category")


def _identifier(found: Found) -> str | None:
    numbers, cells = found.numbers, found.cells
    if numbers is None or not are_whole(numbers) or len(cells.values) < len(cells.codes):
        return None
    if (np.diff(numbers) == 1).all():
        return f"identifier: it counts the rows, from {numbers[0]:.0f}"
    if _IDENTIFIER.fullmatch(found.name):
        return "identifier: every row has another whole number, and the name is one of an id"
    return None


def _ignored(found: Found, why: str) -> Column:
    return Column(found.name, "ignore", why=why)
