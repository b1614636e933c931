"""The rows of a table that a command is given: as they stand in the file, and encoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from elboroom.cli.terminal import plain_console
from elboroom.data import Dataset
from elboroom.data.formats.extras import library_of
from elboroom.data.summary import notes
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
    """

    frame: "pd.DataFrame"
    schema: Schema
    x: Tensor

    @property
    def seen(self) -> Tensor:
        """True where an entry is known, (N, D)."""
        return ~self.x.isnan()

    @classmethod
    def of_data(cls, path: Path, data: Dataset) -> "TableRows":
        """Read the rows of a table that was loaded as data."""
        assert data.reading is not None
        assert data.reading.schema is not None
        return cls(frame_of(path), data.reading.schema, data.part("all").x)

    @classmethod
    def of_models(cls, path: Path, folder: Folder) -> "TableRows":
        """Read the rows of a table by the columns that models were trained on, and print notes.

        Raises:
            DataError: if a column is missing, or an entry is none of its column's.
        """
        schema = folder.schema
        chosen = folder.runs[0].choose_part("all", str(path))
        for note in notes(chosen.data):
            plain_console(stderr=True).print(note)
        return cls(frame_of(path), schema, chosen.rows.x)


def frame_of(path: Path) -> "pd.DataFrame":
    """Read a table as it stands.

    Raises:
        DataError: if it cannot be read.
    """
    with library_of(path, "pandas", "tables"):
        from elboroom.data.formats.frame_files import read_frame
    return read_frame(path)
