"""columns.toml of a run: the columns of a table that it was trained on."""

import warnings
from pathlib import Path

from elboroom.data import Dataset
from elboroom.data.tables.schema import Schema
from elboroom.runs.atomic import write_file
from elboroom.runs.read_errors import read_errors
from elboroom.untrusted import read_bytes

FILE = "columns.toml"
_LARGEST = 64 << 20  # bytes


def write(run: Path, data: Dataset) -> None:
    """Write the columns of a table; nothing for other data.

    Raises:
        DiskError: if they cannot be written.
    """
    if data.reading is not None and data.reading.schema is not None:
        write_file(run / FILE, data.reading.schema.to_toml().encode())


def warn_of_other_columns(data: Dataset) -> None:
    """Warn of columns of new data that the run does not know."""
    if data.reading is not None and data.reading.schema is not None:
        for note in data.reading.notes:
            warnings.warn(note, stacklevel=3)


def read(run: Path) -> Schema | None:
    """Read the columns of a run; None if it was trained on other data.

    Raises:
        RunError: if the file cannot be read.
    """
    if not (run / FILE).exists():
        return None
    with read_errors(run / FILE):
        return Schema.from_toml(read_bytes(run / FILE, _LARGEST).decode())
