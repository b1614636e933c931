"""Notes on the columns of a table that the user should check."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from elboroom.data.measured_columns import sentinels_of
from elboroom.data.tables.cells import Cells
from elboroom.data.tables.column import Column, option, shown
from elboroom.data.tables.date_values import date_text
from elboroom.data.tables.encoding import cells_of, encode_column
from elboroom.data.tables.frames import series_of

_MOST_SHOWN = 4
_NO_LEVELS = ("NaN", "nan", "-NaN", "-nan", "NaT", "<NA>", "#N/A", "#NA")
"""Words that programs write for missing entries alone."""


def table_notes(frame: pd.DataFrame, columns: Sequence[Column]) -> tuple[str, ...]:
    """Describe words that were read as missing, values far from the rest, and doubtful levels."""
    modelled = [column for column in columns if column.modelled]
    notes = _word_notes(
        {c: cells_of(c, series_of(frame, c.name)) for c in modelled if c.has_levels}
    )
    for column in modelled:
        notes += _sentinels(column, series_of(frame, column.name)) + _spellings(column)
    return tuple(notes)


def _word_notes(columns: dict[Column, Cells]) -> list[str]:
    """Describe words that were read as missing and could be levels of their own."""
    places = defaultdict[str, list[str]](list)
    for column, cells in columns.items():
        for word in cells.words.keys() - {*map(str, column.missing), *_NO_LEVELS}:
            places[word].append(column.name)
    return [
        f"{word} was read as missing in {_named(names)}: if it is a level, name all levels, as in "
        f"{option(names[0], 'levels', [word, '…'])}"
        for word, names in sorted(places.items())
    ]


def _sentinels(column: Column, series: pd.Series) -> list[str]:
    """Describe values such as −999, which recur far from the rest and may stand for missing."""
    numbers = _numbers(column, encode_column(column, series))
    if numbers is None:
        return []
    known = np.isfinite(numbers)
    return [
        f"{_value(column, value)} stands in {100 * (numbers == value).sum() / known.sum():.3g} % "
        f"of column {shown(column.name)}, far from the other values: if it means missing, say "
        f"{option(column.name, 'missing', [_value(column, value)])}"
        for value in sentinels_of(numbers)
    ]


def _numbers(column: Column, encoded: np.ndarray) -> np.ndarray | None:
    """Return the numbers of a column; None if its levels are no numbers."""
    if not column.has_levels:
        return encoded + column.origin
    try:
        levels = np.array([*map(float, column.levels), np.nan])
    except ValueError:
        return None
    return levels[np.where(np.isnan(encoded), -1, encoded).astype(int)]


def _value(column: Column, value: float) -> str | float:
    if column.type == "date":
        return date_text(value, column.format or "%Y-%m-%d", decimals=0, padded=True)
    return int(value) if value == int(value) else value


def _spellings(column: Column) -> list[str]:
    """Describe levels that differ by capital letters alone."""
    same = defaultdict[str, list[str]](list)
    for level in column.levels:
        same[level.casefold()].append(level)
    return [
        f"{' and '.join(levels)} are different levels of column {shown(column.name)}"
        for levels in same.values()
        if len(levels) > 1
    ]


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(map(shown, names[:_MOST_SHOWN])) + (f" and {more} more" if more > 0 else "")
