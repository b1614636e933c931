"""columns.toml of a run: the columns of a table that it was trained on."""

import warnings
from pathlib import Path

from elboroom.data import Dataset
from elboroom.data.tables.schema import Schema
from elboroom.errors import RunError
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


def require_same_columns(run: Path, other: Path) -> None:
    """Check that the columns of two runs mean the same, so that one may start from the other.

    Raises:
        RunError: if they do not, or cannot be read.
    """
    mine, theirs = _meaning(read(run)), _meaning(read(other))
    unlike = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
    if unlike or [*mine] != [*theirs]:
        raise RunError(
            f"the weights of {other} are of other columns",
            why=f"{unlike[0] if unlike else 'their order'} differs: the types, the levels and the "
            "order must be the same",
            fix=f"train on a table with the same columns; give --columns {other / FILE}",
        )


def _meaning(schema: Schema | None) -> dict[str, tuple[object, ...]]:
    """Return what the encoded entries of each column mean."""
    columns = () if schema is None else schema.modelled_columns
    return {c.name: (c.likelihood, c.levels, c.origin) for c in columns}


def read(run: Path) -> Schema | None:
    """Read the columns of a run; None if it was trained on other data.

    Raises:
        RunError: if the file cannot be read.
    """
    if not (run / FILE).exists():
        return None
    with read_errors(run / FILE):
        return Schema.from_toml(read_bytes(run / FILE, _LARGEST).decode())
