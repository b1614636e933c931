"""The rows of a table that a command is given: as they stand in the file, and encoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from elboroom.data import Dataset
from elboroom.data.formats.extras import library_of
from elboroom.data.tables.column import Column
from elboroom.data.tables.options import given_delimiter
from elboroom.data.tables.schema import Schema
from elboroom.imputation.folder import Folder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableRows:
    """All rows of a table.

    Attributes:
        frame: the table as it was read.
        schema: its columns.
        x: encoded entries, (N, D); NaN where one is missing.
        delimiter: what parts the cells of text, if it was told.
    """

    frame: "pd.DataFrame"
    schema: Schema
    x: Tensor
    delimiter: str | None = None

    @property
    def seen(self) -> Tensor:
        """True where an entry is known, (N, D)."""
        return ~self.x.isnan()

    @property
    def left_out(self) -> dict[Column, int]:
        """The columns that keep their gaps, as they are in no model, with the number of gaps."""
        from elboroom.data.tables.encoding import cells_of
        from elboroom.data.tables.frames import series_of

        known = {column.name: column for column in self.schema.columns}
        columns = [
            known.get(name) or Column(name, "ignore", why="the models do not know it")
            for name in self.frame.columns
        ]
        gaps = {
            column: int(cells_of(column, series_of(self.frame, column.name)).missing.sum())
            for column in columns
            if not column.modelled
        }
        return {column: count for column, count in gaps.items() if count}

    @property
    def decimal_mark(self) -> str:
        """The mark before the decimals of numbers that are text: a comma if one column has it."""
        from elboroom.data.tables.encoding import cells_of, mark_of
        from elboroom.data.tables.frames import series_of

        columns = [c for c in self.schema.columns if c.type in ("real", "positive")]
        marks = [mark_of(c, cells_of(c, series_of(self.frame, c.name))) for c in columns]
        return "," if "," in marks else "."

    @property
    def lines_left_out(self) -> list[str]:
        """The columns that keep their gaps, and why, in a line each."""
        return [f"{column.line}; {gaps:,} missing" for column, gaps in self.left_out.items()]

    @classmethod
    def of_data(cls, path: Path, data: Dataset, columns: str | None) -> "TableRows":
        """Read the rows of a table that was loaded as data with a file of `columns`, or none."""
        assert data.reading is not None
        assert data.reading.schema is not None
        delimiter = given_delimiter(None if columns == "auto" else columns)
        frame = frame_of(path, delimiter)
        return cls(frame, data.reading.schema, data.part("all").x, delimiter)

    @classmethod
    def of_models(cls, path: Path, folder: Folder) -> "TableRows":
        """Read the rows of a table by the columns that models were trained on.

        Raises:
            DataError: if a column is missing, or an entry is none of its column's.
        """
        schema = folder.schema
        chosen = folder.runs[0].choose_part("all", str(path))
        return cls(frame_of(path), schema, chosen.rows.x)


def require_table(path: Path) -> None:
    """Check that a table can be written to a file, before any work is done.

    Raises:
        UsageError: if its suffix is of no format.
    """
    with library_of(path, "pandas", "tables"):
        from elboroom.data.formats.frame_files import require_suffix
    require_suffix(path)


def frame_of(path: Path, delimiter: str | None = None) -> "pd.DataFrame":
    """Read a table as it stands.

    Raises:
        DataError: if it cannot be read.
    """
    with library_of(path, "pandas", "tables"):
        from elboroom.data.formats.frame_files import read_frame
    return read_frame(path, delimiter=delimiter)
