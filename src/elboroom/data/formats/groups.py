"""Groups of rows in a file of their own, beside the file of the rows."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from elboroom.data.formats.npy import read_array
from elboroom.data.groups import group_numbers
from elboroom.data.source import Source
from elboroom.errors import DataError
from elboroom.untrusted import open_file


def with_groups(source: Source, group_by: str | None) -> Source:
    """Return a source with the groups that `group_by` names, if it names any.

    Args:
        source: rows, whose format has read the groups if they are an array of the same file.
        group_by: name of that array, or path of a `.npy` with one value for each training row.

    Raises:
        DataError: if there are no such groups, or there is not one value for each row.
    """
    if group_by is None:
        return source
    if group_by.endswith(".npy"):
        groups = group_numbers(_read(Path(group_by)), len(source.train), group_by)
        return replace(source, train=replace(source.train, groups=groups))
    if source.train.groups is None:
        raise DataError(
            f"{source.name} has no groups {group_by}",
            why="--group-by takes the name of an array or a column of the file, or the path of a "
            ".npy; names of pictures are not read for groups",
            fix="save one value for each training row, in their order, with numpy.save, and give "
            "that file to --group-by",
        )
    return source


def _read(path: Path) -> np.ndarray:
    try:
        with open_file(path.expanduser()) as file:
            return read_array(file, os.fstat(file.fileno()).st_size)
    except Exception as error:  # a damaged file raises more than OSError and ValueError
        raise DataError(
            f"cannot read the groups {path}",
            why=str(error) or "the file is empty",
            fix="give the path of a .npy with one value for each training row",
        ) from error
