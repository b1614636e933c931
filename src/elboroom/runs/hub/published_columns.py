"""The columns of a table as they are published: those of the model, without remarks on the data."""

from dataclasses import replace

from elboroom.data.tables.schema import Schema
from elboroom.runs.run import Run


def published_columns(run: Run) -> Schema | None:
    """Return what encodes a table for the model of a run; None if it is not of a table.

    Columns that the model leaves out, and the reasons for the types, which quote the data, are
    left out.

    Raises:
        RunError: if the columns of the run cannot be read.
    """
    found = run.data.schema
    if found is None:
        return None
    return Schema(tuple(replace(column, why="") for column in found.modelled_columns))
