"""Encoded numbers → cells that were missing, in their column's own type and form."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from elboroom.data.tables.cells import Cells, as_number, level_key
from elboroom.data.tables.column import Column, refused
from elboroom.data.tables.date_values import are_padded, date_text, time_of
from elboroom.data.tables.encoding import cells_of, mark_of
from elboroom.data.tables.number_text import least_decimals, number_text
from elboroom.errors import DataError

Write = Callable[[float], Any]
"""An encoded number → the cell."""


@dataclass(frozen=True)
class ColumnDecoder:
    """A function that fills the missing cells of a column, which it reads once for all calls.

    Attributes:
        column: the column.
        series: its cells, (N,).
    """

    column: Column
    series: pd.Series

    def __call__(self, values: np.ndarray) -> pd.Series:
        """Fill the missing cells; every other cell stays as it is.

        Args:
            values: encoded numbers, (N,); a cell stays missing where they are NaN.

        Returns:
            The column in its own type. Whole numbers that gaps had made floats are integers again.

        Raises:
            DataError: if a value is no code of a level.
        """
        rows = np.flatnonzero(self._cells.missing & ~np.isnan(values))
        if not len(rows):
            return self.series
        filled = self.series.astype(object)
        different, places = np.unique(values[rows], return_inverse=True)
        written = np.empty(len(different), object)
        written[:] = [self._write(value) for value in different.tolist()]
        filled.iloc[rows] = written[places]
        return _in_type(filled, self.series.dtype, self.column)

    @cached_property
    def _cells(self) -> Cells:
        return cells_of(self.column, self.series)

    @cached_property
    def _write(self) -> Write:
        return _writer(self.column, self.series, self._cells)


@dataclass(frozen=True)
class TableDecoder:
    """A function that fills the missing entries of a table.

    Attributes:
        frame: the table, (N rows), which is not changed.
        columns: the decoder of each encoded column, D of them.
    """

    frame: pd.DataFrame
    columns: tuple[ColumnDecoder, ...]

    def __call__(self, values: np.ndarray) -> pd.DataFrame:
        """Fill the missing entries by encoded ones, as `Schema.decode` does.

        Raises:
            DataError: if the values do not fit.
        """
        expected = (len(self.frame), len(self.columns))
        if np.shape(values) != expected:
            raise DataError(
                "these values do not fit the table",
                why=f"found shape {np.shape(values)}; expected {expected}",
                fix="give a value for each row and each column that is encoded",
            )
        filled = self.frame.copy()
        for decode, of_column in zip(self.columns, np.asarray(values).T, strict=True):
            filled[decode.column.name] = decode(of_column)
        return filled


def _writer(column: Column, series: pd.Series, cells: Cells) -> Write:
    text = _is_text(series, cells)
    if column.has_levels:
        return _level_writer(column, series, cells, text=text)
    if column.type == "date":
        return _date_writer(column, series, cells, text=text)
    return _number_writer(column, cells, text=text)


def _is_text(series: pd.Series, cells: Cells) -> bool:
    """Return whether the cells of a column are text, by the known ones if there are any."""
    if cells.values:
        return isinstance(cells.values[0], str)
    is_string = isinstance(series.dtype, pd.StringDtype)
    return is_string or any(isinstance(cell, str) for cell in series.unique())


def _number_writer(column: Column, cells: Cells, *, text: bool) -> Write:
    if text:
        mark = mark_of(column, cells)
        least = least_decimals(cells.texts, mark) if cells.values else column.decimals or 0
        return lambda value: number_text(
            _rounded(column, value + column.origin), column.decimals, mark, least
        )

    def write(value: float) -> Any:
        number = _rounded(column, value + column.origin)
        return int(number) if column.decimals == 0 else number

    return write


def _rounded(column: Column, number: float) -> float:
    """Return a number with the decimals and the range of its column."""
    if column.decimals is None:
        return number
    number = round(number, column.decimals)
    if column.type == "count":
        return max(number, 0.0)
    is_outside = column.type == "positive" and number <= 0
    return 10.0**-column.decimals if is_outside else number


def _date_writer(column: Column, series: pd.Series, cells: Cells, *, text: bool) -> Write:
    if text:
        form = column.format or "%Y-%m-%d"
        padded = are_padded(cells.texts, form)
        return lambda value: date_text(
            value + column.origin, form, decimals=column.decimals, padded=padded
        )
    zone = getattr(series.dtype, "tz", None)
    days_alone = bool(cells.values) and not isinstance(cells.values[0], datetime)

    def write(value: float) -> Any:
        time = time_of(value + column.origin, "", column.decimals)
        if days_alone:
            return time.date()
        return time if zone is None else time.tz_localize("UTC").tz_convert(zone)

    return write


def _level_writer(column: Column, series: pd.Series, cells: Cells, *, text: bool) -> Write:
    known = {level_key(value): value for value in _by_count(cells)}
    categories = getattr(series.dtype, "categories", ())
    known = {level_key(value): value for value in categories} | known
    spelled = [known.get(level, _level(level, series, text=text)) for level in column.levels]

    def write(value: float) -> Any:
        code = int(value)
        if code != value or not 0 <= code < len(spelled):
            raise refused(
                column.name,
                f"found the code {value:g}; expected one of 0 to {len(spelled) - 1}",
                "give the place of a level for each entry",
            )
        return spelled[code]

    return write


def _by_count(cells: Cells) -> list[object]:
    """Return the different values, the most frequent ones last."""
    return [cells.values[place] for place in np.argsort(cells.counts, kind="stable")]


def _level(level: str, series: pd.Series, *, text: bool) -> Any:
    """Return a level that no cell has, in the type of the column."""
    if text:
        return level
    if pd.api.types.is_bool_dtype(series.dtype) or level in ("True", "False"):
        return level == "True"
    number = as_number(level)
    if number is None:
        return level
    return int(number) if number == int(number) else number


def _in_type(filled: pd.Series, kind: Any, column: Column) -> pd.Series:
    is_float = isinstance(kind, np.dtype) and kind.kind == "f"
    if (
        is_float
        and (column.decimals == 0 or column.has_levels)
        and not filled.isna().any()
        and (filled == filled.astype(float).round()).all()
    ):
        return filled.astype(np.int64)
    return filled if pd.api.types.is_object_dtype(kind) else filled.astype(kind)
