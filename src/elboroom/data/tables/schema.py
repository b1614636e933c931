"""The Schema of a table: its columns, by which tables are encoded and decoded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from elboroom.data.tables.column import Column, refused, shown
from elboroom.data.tables.options import (
    WHOLE,
    ColumnOptions,
    complete_text,
    given_columns,
    parsed,
)
from elboroom.data.tables.toml import toml_table
from elboroom.errors import DataError
from elboroom.html_table import Shown, Summary, Table

if TYPE_CHECKING:
    import pandas as pd

    from elboroom.data.tables.decoding import TableDecoder

_MOST_SHOWN = 9
_MOST_LAID_OUT = 100  # columns


@dataclass(frozen=True)
class Schema(Shown):
    """The columns of a table in their order.

    Attributes:
        columns: all columns, also those that are left out of the model.
        notes: facts that the user should check, each a short phrase.
    """

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls, table: Any, given: "Mapping[str, Any] | str | PathLike[str] | None" = None
    ) -> "Schema":
        """Infer the types of the columns of a table, by stated rules that `lines` gives.

        Args:
            table: what `as_frame` takes.
            given: the type or a table of options for columns by name, or the path of a TOML file
                of these; what is not said is inferred. The file of a whole schema is taken as it
                is.

        Raises:
            DataError: if a column cannot be used, or is not of the type that is said.
        """
        from elboroom.data.tables.frames import as_frame
        from elboroom.data.tables.table_notes import table_notes

        whole = complete_text(given)
        if whole is not None:
            return cls.from_toml(whole)
        frame, options = as_frame(table), given_columns(given)
        _require_present(options, list(frame.columns))
        _require_rows(len(frame))
        columns = tuple(_column(frame, name, options) for name in frame.columns)
        _require_modelled(columns)
        return cls(columns, table_notes(frame, columns))

    @classmethod
    def from_toml(cls, text: str) -> "Schema":
        """Read a schema that `to_toml` wrote.

        Raises:
            DataError: if it is not one.
        """
        tables = parsed(text)
        if tables.pop(WHOLE, None) is not True:
            raise DataError(
                "these columns are no whole schema",
                why=f"the line `{WHOLE} = true` is not the first one",
                fix="give what Schema.to_toml wrote",
            )
        columns = tuple(_read(name, ColumnOptions.of(name, t)) for name, t in tables.items())
        _require_modelled(columns)
        return cls(columns)

    def to_toml(self) -> str:
        """Return the whole schema as the TOML that `--columns` takes."""
        default = Column("", "real")
        tables = [
            toml_table(
                column.name,
                {
                    f.name: getattr(column, f.name)
                    for f in fields(Column)
                    if f.name != "name"
                    and (f.name == "type" or getattr(column, f.name) != getattr(default, f.name))
                    and getattr(column, f.name) not in (None, "")
                },
            )
            for column in self.columns
        ]
        return "\n".join([f"{WHOLE} = true\n", *tables])

    @property
    def modelled_columns(self) -> tuple[Column, ...]:
        """The columns that are encoded, in their order."""
        return tuple(column for column in self.columns if column.modelled)

    @property
    def modelled(self) -> tuple[str, ...]:
        """The names of the columns that are encoded, (D,)."""
        return tuple(column.name for column in self.modelled_columns)

    @property
    def likelihoods(self) -> tuple[str, ...]:
        """The likelihood of each column that is encoded, (D,)."""
        return tuple(column.likelihood for column in self.modelled_columns)

    def lines(self) -> list[str]:
        """Return the type of each column and the reason for it, in a line each."""
        return [column.line for column in self.columns]

    def table(self) -> Table:
        """Lay out a row for each column: its type, likelihood and levels, and why."""
        headings = ("column", "type", "likelihood", "levels", "why")
        first = self.columns[:_MOST_LAID_OUT]
        rows = [(shown(c.name), c.type, c.likelihood, ", ".join(c.levels), c.why) for c in first]
        more = len(self.columns) - len(rows)
        caption = f"the first {len(rows)} of {len(self.columns):,}" if more else ""
        return Table(headings, rows, caption, numbers=False)

    def _summary(self) -> Summary:
        modelled = f"{len(self.modelled):,} of {len(self.columns):,} columns modelled"
        return Summary(modelled, {}, [self.table()], self.notes)

    def extra(self, table: Any) -> list[str]:
        """Return the names of the columns of a table that the schema does not have."""
        from elboroom.data.tables.frames import as_frame

        known = {column.name for column in self.columns}
        return [name for name in as_frame(table).columns if name not in known]

    def encode(self, table: Any) -> np.ndarray:
        """Encode a table, whose columns are found by name and may stand in any order.

        Args:
            table: what `as_frame` takes; other columns than those of the schema are passed over.

        Returns:
            (N, D) float64, NaN where an entry is missing.

        Raises:
            DataError: if a column is missing, an entry is not of its column's type, or a level is
                unknown.
        """
        from elboroom.data.tables.encoding import encode_column
        from elboroom.data.tables.frames import as_frame, series_of

        frame = as_frame(table)
        self._require_columns(list(frame.columns))
        found = [encode_column(c, series_of(frame, c.name)) for c in self.modelled_columns]
        return np.stack(found, axis=1)

    def decode(self, values: np.ndarray, table: Any) -> "pd.DataFrame":
        """Fill the missing entries of the encoded columns of a table.

        Args:
            values: encoded entries, (N, D); an entry stays missing where they are NaN.
            table: the table, (N rows), which is not changed.

        Returns:
            A copy with the same columns in their own types, in which every entry that was not
            missing stands as it was.

        Raises:
            DataError: if a column is missing, or the values do not fit.
        """
        return self.decoder(table)(values)

    def decoder(self, table: Any) -> "TableDecoder":
        """Return a function of values that fills the missing entries of a table, as `decode` does.

        Raises:
            DataError: if a column is missing.
        """
        from elboroom.data.tables.decoding import ColumnDecoder, TableDecoder
        from elboroom.data.tables.frames import as_frame, series_of

        frame = as_frame(table)
        self._require_columns(list(frame.columns))
        columns = self.modelled_columns
        return TableDecoder(
            frame, tuple(ColumnDecoder(c, series_of(frame, c.name)) for c in columns)
        )

    def typed(self, table: Any) -> "pd.DataFrame":
        """Return a table of text, as CSV is read, in the types of pandas that the columns have.

        Raises:
            DataError: if a column is missing, or an entry is not of its column's type.
        """
        from elboroom.data.tables.frames import as_frame, series_of
        from elboroom.data.tables.typed_column import typed_column

        frame = as_frame(table).copy()
        self._require_columns(list(frame.columns))
        for column in self.modelled_columns:
            frame[column.name] = typed_column(column, series_of(frame, column.name))
        return frame

    def _require_columns(self, names: list[str]) -> None:
        absent = [name for name in self.modelled if name not in {*names}]
        if absent:
            listed = ", ".join(map(shown, absent[:_MOST_SHOWN]))
            more = f" and {len(absent) - _MOST_SHOWN:,} more" * (len(absent) > _MOST_SHOWN)
            raise DataError(
                f"the table lacks columns: {listed}{more}",
                why=f"found {', '.join(map(shown, names[:_MOST_SHOWN]))}"
                + ("…" if len(names) > _MOST_SHOWN else ""),
                fix="name the columns as those that the types were found of; one without a value "
                "may be empty",
            )


def _column(frame: "pd.DataFrame", name: str, options: Mapping[str, ColumnOptions]) -> Column:
    from elboroom.data.tables.cells import Cells, level_key
    from elboroom.data.tables.frames import series_of
    from elboroom.data.tables.inference import column_of

    said = options.get(name, ColumnOptions())
    keep = [level_key(level) for level in said.levels or ()]
    return column_of(name, Cells.of(series_of(frame, name), said.missing, keep), said)


def _read(name: str, said: ColumnOptions) -> Column:
    if said.type is None:
        raise refused(name, "its type is not said", "give what Schema.to_toml wrote")
    given = {f.name: getattr(said, f.name) for f in fields(ColumnOptions)}
    given["levels"] = tuple(map(str, said.levels or ()))
    return Column(name, **{key: value for key, value in given.items() if value is not None})


def _require_present(options: Mapping[str, ColumnOptions], names: list[str]) -> None:
    unknown = [name for name in options if name not in {*names}]
    if unknown:
        raise DataError(
            f"the table has no column {shown(unknown[0])}, whose type is said",
            why=f"found {', '.join(map(shown, names[:_MOST_SHOWN]))}"
            + ("…" if len(names) > _MOST_SHOWN else ""),
            fix="correct the name, or leave it out",
        )


def _require_rows(rows: int) -> None:
    if rows < 2:
        raise DataError(
            "a table of one row cannot be trained on" if rows else "the table has no rows",
            why=f"found {rows}; the types and the spread of columns need several",
            fix="give at least two rows; a trained run takes a table of one row",
        )


def _require_modelled(columns: tuple[Column, ...]) -> None:
    if not any(column.modelled for column in columns):
        reasons = "; ".join(column.line for column in columns[:_MOST_SHOWN])
        raise DataError(
            "no column of the table can be modelled",
            why=reasons or "it has no column",
            fix='say a type by --columns, such as age.type = "real"',
        )
