"""A table of columns → Source."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elboroom.config import DataConfig
from elboroom.data.formats.errors import cannot_read, require_no_recipe
from elboroom.data.formats.frame_files import HeadlessError, is_arrow, read_frame
from elboroom.data.formats.names import AbsentArraysError
from elboroom.data.formats.unreadable import describe, foreign
from elboroom.data.groups import group_numbers
from elboroom.data.source import Source, SourcePart
from elboroom.data.tables.column import shown
from elboroom.data.tables.frames import as_frame, series_of
from elboroom.data.tables.options import (
    ColumnOptions,
    complete_text,
    given_columns,
    given_delimiter,
)
from elboroom.data.tables.schema import Schema
from elboroom.errors import DataError

_MOST_SHOWN = 6


def read_columns(path: Path, config: DataConfig) -> Source:
    """Read a file of a table, one row of encoded numbers for each row of it.

    Args:
        path: a file that `read_frame` reads.
        config: its `columns` says types; its `unused` names columns to leave out; its `group_by`
            the column of the groups of the rows, which is left out too.

    Raises:
        DataError: if it cannot be read, or a column cannot be used.
    """
    if path.is_dir():
        raise cannot_read(path, "--columns takes one file, and this is a folder", "name a file")
    if not is_arrow(path) and foreign(path):
        raise describe(path)
    try:
        given = None if config.columns == "auto" else config.columns
        frame = read_frame(path, config.memory, given_delimiter(given))
    except HeadlessError as error:
        raise cannot_read(path, error.why, f"{error.fix}; or {describe(path).fix}") from error
    return source_of_frames(path.name, {"train": frame}, config)


def source_of_frames(
    name: str,
    frames: Mapping[str, Any],
    config: DataConfig,
    columns: Mapping[str, Any] | str | PathLike[str] | None = None,
) -> Source:
    """Encode the tables of the parts of some data.

    Args:
        name: the name that results give the data.
        frames: the table of each part; the types are found of that of "train".
        config: as for `read_columns`.
        columns: the types in place of those that `config` says.

    Raises:
        DataError: if a column cannot be used, or values would be made binary.
    """
    require_no_recipe(name, config)
    _require_no_binarisation(name, config)
    tables = {part: as_frame(table) for part, table in frames.items()}
    schema = schema_of(name, tables["train"], config, columns or config.columns)
    _require_rows(name, tables)
    parts = {
        part: SourcePart(
            schema.encode(table).astype(np.float32),
            groups=_groups(table, config) if part == "train" else None,
        )
        for part, table in tables.items()
    }
    return Source(
        name=name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        columns=schema.modelled,
        notes=(*schema.notes, *_extra(name, schema, tables["train"])),
        schema=schema,
    )


def schema_of(
    name: str,
    frame: pd.DataFrame,
    config: DataConfig,
    columns: Mapping[str, Any] | str | PathLike[str] | None,
) -> Schema:
    """Return the schema of a table by the options of the data.

    Raises:
        DataError: if a column cannot be used.
    """
    given = None if columns == "auto" else columns
    if complete_text(given) is not None:
        return Schema.of(frame, given)
    absent = [column for column in config.unused if column not in frame.columns]
    if absent:
        raise AbsentArraysError(name, absent, [*map(str, frame.columns)])
    left_out = dict.fromkeys(config.unused, "by --unused")
    if config.group_by is not None and config.group_by in frame.columns:
        left_out[config.group_by] = "by --group-by, which it is for"
    ignored = {c: ColumnOptions(type="ignore", why=why) for c, why in left_out.items()}
    return Schema.of(frame, {**given_columns(given), **ignored})


def _groups(frame: pd.DataFrame, config: DataConfig) -> np.ndarray | None:
    """Return the number of each row's group; None without groups in the table."""
    if config.group_by is None or config.group_by not in frame.columns:
        return None
    cells = series_of(frame, config.group_by)
    values = cells.to_numpy(object) if cells.isna().any() else cells.astype(str).to_numpy("U")
    return group_numbers(values, len(frame), config.group_by)


def _extra(name: str, schema: Schema, frame: pd.DataFrame) -> list[str]:
    names = schema.extra(frame)
    if not names:
        return []
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    listed = ", ".join(map(shown, names[:_MOST_SHOWN])) + more
    return [f"{name} has columns that the model does not know, which are passed over: {listed}"]


def _require_rows(name: str, tables: Mapping[str, pd.DataFrame]) -> None:
    empty = [part for part, table in tables.items() if not len(table)]
    if empty:
        raise DataError(
            f"{name} has no rows" + (f" in its part {empty[0]}" if len(tables) > 1 else ""),
            why="it has the names of columns alone",
            fix="give a table with at least one row",
        )


def _require_no_binarisation(name: str, config: DataConfig) -> None:
    if config.binarisation not in ("auto", "none"):
        raise DataError(
            f"--binarisation {config.binarisation} cannot be used with {name}",
            why="it is a table of columns, each of which keeps its type",
            fix="leave it out",
        )
