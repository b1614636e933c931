"""The table: its columns, and its rows as people write them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from elboroom.config.kinds import ColumnType
from elboroom.data.tables.column import Column
from elboroom.explorer.api.requests import LIMITS, Nothing, Request, RowNumber
from elboroom.explorer.columns import Entry, columns_of
from elboroom.explorer.explored_run import ExploredRun
from elboroom.runs.chosen_part import row_name

_MOST_ENTRIES = 20_000  # of a page with several rows


class ColumnDescription(msgspec.Struct, frozen=True):
    """A column.

    Attributes:
        name: its name.
        type: what its entries are.
        levels: its levels in their order; empty for numbers and dates.
        decimals: decimals of its numbers; null if they have any number of them.
    """

    name: str
    type: ColumnType
    levels: list[str]
    decimals: int | None

    @classmethod
    def of(cls, column: Column) -> "ColumnDescription":
        """Describe a column."""
        return cls(column.name, column.type, list(column.levels), column.decimals)


class TableColumns(msgspec.Struct, frozen=True):
    """The columns of a table that the model has, in their order."""

    columns: list[ColumnDescription]


class TableRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Some rows that follow each other."""

    first: RowNumber = 0
    count: Annotated[int, Meta(ge=1, le=LIMITS["rows"])] = 25


class TableRows(msgspec.Struct, frozen=True):
    """Some rows of a table.

    Attributes:
        first: number of the first row among those shown.
        origins: the place of each row in the source.
        rows: the entries of each row, one for each column: numbers in the units of the column,
            levels and dates as text; null where one is missing.
    """

    first: int
    origins: list[str]
    rows: list[list[Entry]]


def table_columns(explored: ExploredRun, request: Nothing) -> TableColumns:
    """Describe the columns of a table; the values of a vector are columns of numbers."""
    return TableColumns([ColumnDescription.of(c) for c in columns_of(explored).columns])


def table_rows(explored: ExploredRun, request: TableRequest) -> TableRows:
    """Return rows of a table as people write them; fewer at the end, and of very long rows."""
    columns, first = columns_of(explored), request.first
    most = max(1, _MOST_ENTRIES // len(columns.columns))
    last = min(first + min(request.count, most), max(first + 1, len(explored.part)))
    part = explored.rows(list(range(first, last)))
    origins = [row_name(explored.part, row) for row in range(first, last)]
    return TableRows(first, origins, columns.entries(part.x.flatten(1)))
