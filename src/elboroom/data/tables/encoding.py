"""Cells of a column → encoded numbers."""

import numpy as np
import pandas as pd

from elboroom.data.tables.cells import Cells, level_key
from elboroom.data.tables.column import Column, option, refused
from elboroom.data.tables.date_values import date_formats, days_of_dates, days_of_texts, is_date
from elboroom.data.tables.listing import MOST_SHOWN, listed
from elboroom.data.tables.number_text import decimal_marks

TRUTH = {"true", "false"}
"""Levels that are booleans in small letters."""


def cells_of(column: Column, series: pd.Series) -> Cells:
    """Return the cells of a column, of which those that mean missing are told apart."""
    return Cells.of(series, column.missing, keep=column.levels)


def encode_column(column: Column, series: pd.Series) -> np.ndarray:
    """Return the number of each entry of a column, (N,) float64, NaN where it is missing.

    Raises:
        DataError: if an entry is not of the column's type, or its level is unknown.
    """
    cells = cells_of(column, series)
    if not cells.usable:
        raise refused(column.name, "found lists, bytes or durations", "give one value an entry")
    if column.has_levels:
        return cells.expand(_codes(column, cells))
    numbers = _days(column, cells) if column.type == "date" else _numbers(column, cells)
    _require_range(column, numbers)
    return cells.expand(numbers - column.origin)


def mark_of(column: Column, cells: Cells) -> str:
    """Return the decimal mark of the numbers of a column as a file writes them.

    It is that of the column, unless they are numbers with the other one alone.

    Raises:
        DataError: if the other one may part decimals or thousands, and the column has decimals.
    """
    texts = [value for value in cells.values if isinstance(value, str)]
    other = {".": ",", ",": "."}[column.decimal]
    found = [text for text in texts if other in text]
    marks = decimal_marks(texts) if found else [column.decimal]
    if other in marks and column.decimal not in marks:
        return other
    if other in marks and column.decimals != 0 and not any(column.decimal in t for t in texts):
        raise refused(
            column.name,
            f"the mark {other} of {found[0]} may part decimals or thousands",
            f"write decimals with {column.decimal} and thousands without a mark",
        )
    return column.decimal


def _codes(column: Column, cells: Cells) -> np.ndarray:
    known = {level: code for code, level in enumerate(column.levels)}
    if {level.casefold() for level in column.levels} == TRUTH:
        ways = (str.lower, str.upper, str.title)
        known = {way(level): code for way in ways for level, code in known.items()}
    keys = [level_key(value) for value in cells.values]
    unseen = [key for key in keys if key not in known]
    if unseen:
        raise refused(
            column.name,
            f"found {listed(unseen)}; its levels are {listed(column.levels)}",
            "correct these entries, or leave them empty, and they are filled in; a model with "
            "more levels has to be trained anew",
        )
    return np.array([known[key] for key in keys], np.float64)


def _numbers(column: Column, cells: Cells) -> np.ndarray:
    found = cells.numbers(mark_of(column, cells))
    wrong = [v for v, number in zip(cells.texts, found, strict=True) if number is None]
    if wrong:
        raise refused(
            column.name,
            f"found {listed(wrong)}; expected numbers, since it is a {column.type}",
            f"correct them, or say that they are missing: "
            f"{option(column.name, 'missing', wrong[:MOST_SHOWN])}",
        )
    return np.array(found, np.float64)


def _days(column: Column, cells: Cells) -> np.ndarray:
    if all(map(is_date, cells.values)):
        return days_of_dates(cells.values) if cells.values else np.zeros(0)
    formats = [column.format] if column.format else date_formats(cells.texts)
    days = days_of_texts(cells.texts, formats[0]) if formats else np.full(len(cells.texts), np.nan)
    wrong = [text for text, day in zip(cells.texts, days, strict=True) if np.isnan(day)]
    if wrong:
        form = f" as {formats[0]}" if formats else ""
        raise refused(
            column.name,
            f"found {listed(wrong)}; expected dates{form}",
            "write them so, or leave them empty",
        )
    return days


def _require_range(column: Column, numbers: np.ndarray) -> None:
    wrong = ~np.isfinite(numbers)
    expected = "finite numbers"
    if column.type == "count":
        wrong |= (numbers < 0) | (numbers != np.floor(numbers))
        expected = "whole numbers from 0, since it is a count"
    if column.likelihood == "log-normal":
        wrong |= numbers <= 0
        expected = "numbers above 0"
    if wrong.any():
        found = [f"{number:g}" for number in numbers[wrong].tolist()]
        raise refused(
            column.name,
            f"found {', '.join(found[:MOST_SHOWN])}; expected {expected}",
            "correct them, or leave them empty",
        )
