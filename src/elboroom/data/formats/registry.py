"""The formats of data: how each is recognised and read."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elboroom.config import DataConfig
from elboroom.config.kinds import FormatName
from elboroom.data.formats.archive_kinds import is_tar, is_zip_of_files
from elboroom.data.formats.array_files import is_npy, is_npz, load_arrays
from elboroom.data.formats.array_shards import is_shard_folder, read_shards
from elboroom.data.formats.arrays import source_of
from elboroom.data.formats.errors import cannot_read, no_pictures, require_no_recipe
from elboroom.data.formats.extras import is_columns, is_hdf5, is_table, library_of
from elboroom.data.formats.idx import is_idx, is_idx_folder, load_idx, load_idx_folder
from elboroom.data.formats.mat import is_mat, load_mat
from elboroom.data.formats.packed import is_packed, read_packed, read_packed_shards
from elboroom.data.formats.pt import is_pt, load_pt
from elboroom.data.formats.unreadable import describe
from elboroom.data.source import Source
from elboroom.errors import DataError
from elboroom.untrusted import open_file

if TYPE_CHECKING:
    from elboroom.data.formats.gathered import Pictures

_START = 512  # bytes: longer than the signature of any format


@dataclass(frozen=True)
class Format:
    """A format of data on disk.

    Implementing a format: write one file in `data/formats`, add a row to `FORMATS` here, and the
    name with a line of help to `config.kinds`, from which `--help` and errors list the formats.

    The reader gets a path that somebody else may have written. It checks every size, type and
    name before it allocates, runs nothing that the file contains, writes nothing, and raises a
    `DataError` with *what*, *why* and *fix* for everything that it refuses. Files in
    `tests/hostile` show that it does. A library that only this format needs is imported when the
    reader is called.

    Attributes:
        recognises: called with the path and its first 512 bytes, which are empty for a folder. It
            returns True for this format, by these bytes or by the name, and reads nothing else.
            Formats are asked in the order of `FORMATS`; the first that returns True reads.
        read: called with the path and the options of the data. It returns a `Source`, whose parts
            have images as uint8, or as float32 with NaN where a value is missing, their shape
            (N, *event) with channels first, and labels as int64. A format that can stay on disk
            returns an array that reads rows when it is indexed, with `mapped=True`, if the images
            do not fit `memory`; any other raises by `require_fit`. `binarisation` "none" permits
            floats outside [0, 1]. An option of one format is a field of `DataConfig`.
        open: called like `read`; it returns a context in which there are pictures, none of which is
            read yet. None for a format without pictures, with which options that prepare pictures
            are refused.
        holds_pictures: called like `read`; it returns True if the rows are or were picture files.
            It reads no row.
    """

    recognises: Callable[[Path, bytes], bool]
    read: Callable[[Path, DataConfig], Source]
    open: "Callable[[Path, DataConfig], AbstractContextManager[Pictures]] | None" = None
    holds_pictures: Callable[[Path, DataConfig], bool] = lambda path, config: False


def read_data(path: Path, config: DataConfig) -> Source:
    """Read a file or a folder by the first format that recognises it.

    Raises:
        DataError: if there is nothing at `path`, no format recognises it, or its reader refuses it.
        NoPicturesError: if an option prepares pictures, which the format does not hold.
    """
    form = _format_of(path)
    if form.open is None:
        require_no_recipe(path.name, config)
    if config.columns is not None:
        _require_columns(path, form)
    return form.read(path, config)


def holds_pictures(config: DataConfig) -> bool:
    """Return whether the data are pictures, by their format and without reading them.

    The answer is no for data that cannot be read.
    """
    try:
        return _format_of(config.path).holds_pictures(config.path, config)
    except DataError:
        return False


def open_pictures(path: Path, config: DataConfig) -> "AbstractContextManager[Pictures]":
    """Open the pictures of a file or a folder to read them one after the other.

    Raises:
        DataError: if there is nothing at `path`, or it holds no pictures.
    """
    form = _format_of(path)
    if form.open is None:
        raise no_pictures(path)
    return form.open(path, config)


def _require_columns(path: Path, form: Format) -> None:
    if form not in (FORMATS["columns"], FORMATS["table"]):
        raise DataError(
            f"{path} is no table of columns",
            why="the types of columns are said, and it is in another format",
            fix="give a table of CSV, TSV, Excel, Parquet or Arrow",
        )


def _format_of(path: Path) -> Format:
    """Return the first format that recognises a file or a folder."""
    start = _first_bytes(path)
    for form in FORMATS.values():
        if form.recognises(path, start):
            return form
    raise describe(path)


def _first_bytes(path: Path) -> bytes:
    try:
        if os.path.isdir(path):
            return b""
        with open_file(path) as file:
            return file.read(_START)
    except (OSError, ValueError) as error:
        raise cannot_read(path, str(error)) from error


def read_array(path: Path, config: DataConfig) -> Source:
    """Read the images of a `.npy`, or the arrays of an `.npz` by their names.

    Raises:
        DataError: as `load_arrays`, `source_of` and `read_packed` do.
    """
    if is_packed(path):
        return read_packed(path, config)
    return source_of(path.name, load_arrays(path, config.memory, config.unused), config)


def _read_shards(path: Path, config: DataConfig) -> Source:
    return (read_packed_shards if is_packed(path) else read_shards)(path, config)


def _read_mat(path: Path, config: DataConfig) -> Source:
    return source_of(path.name, load_mat(path, config.memory, config.unused), config)


def _read_pt(path: Path, config: DataConfig) -> Source:
    return source_of(path.name, load_pt(path, config.memory, config.unused), config)


def _read_hdf5(path: Path, config: DataConfig) -> Source:
    with library_of(path, "h5py", "hdf5"):
        from elboroom.data.formats.hdf5 import load_hdf5
    return source_of(path.name, load_hdf5(path, config.memory, config.unused), config)


def _read_idx(path: Path, config: DataConfig) -> Source:
    if path.is_dir():
        return source_of(path.resolve().name, load_idx_folder(path, config.memory), config)
    return source_of(path.name, {"images": load_idx(path, config.memory)}, config)


def _read_columns(path: Path, config: DataConfig) -> Source:
    with library_of(path, "pandas", "tables"):
        from elboroom.data.formats.columns import read_columns
    return read_columns(path, config)


def _read_table(path: Path, config: DataConfig) -> Source:
    if config.columns is not None:
        return _read_columns(path, config)
    with library_of(path, "pyarrow", "arrow"):
        from elboroom.data.formats.table import read_table
    return read_table(path, config)


def _open_table(path: Path, config: DataConfig) -> "AbstractContextManager[Pictures]":
    with library_of(path, "pyarrow", "arrow"):
        from elboroom.data.formats.table import open_table
    return open_table(path, config)


def _table_holds_pictures(path: Path, config: DataConfig) -> bool:
    if config.columns is not None:
        return False
    with library_of(path, "pyarrow", "arrow"):
        from elboroom.data.formats.table import has_pictures
    return has_pictures(path, config)


def _read_pictures(path: Path, config: DataConfig) -> Source:
    from elboroom.data.formats.folder import read_folder  # needs Pillow, which no other format does

    return read_folder(path, config)


def _open_pictures(path: Path, config: DataConfig) -> "AbstractContextManager[Pictures]":
    from elboroom.data.formats.folder import open_folder

    return open_folder(path, config)


def _always(path: Path, config: DataConfig) -> bool:
    return True


FORMATS: dict[FormatName, Format] = {
    "npy": Format(
        lambda path, start: is_npy(start),
        read_array,
        holds_pictures=lambda path, config: is_packed(path),
    ),
    "pt": Format(lambda path, start: is_pt(start), _read_pt),
    "columns": Format(is_columns, _read_columns),
    "zip": Format(
        lambda path, start: is_zip_of_files(start), _read_pictures, _open_pictures, _always
    ),
    "npz": Format(lambda path, start: is_npz(start), read_array),
    "mat": Format(lambda path, start: is_mat(start), _read_mat),
    "hdf5": Format(is_hdf5, _read_hdf5),
    "idx": Format(lambda path, start: is_idx(start) or is_idx_folder(path), _read_idx),
    "table": Format(is_table, _read_table, _open_table, _table_holds_pictures),
    "shards": Format(
        lambda path, start: is_shard_folder(path),
        _read_shards,
        holds_pictures=lambda path, config: is_packed(path),
    ),
    "folder": Format(lambda path, start: path.is_dir(), _read_pictures, _open_pictures, _always),
    "tar": Format(lambda path, start: is_tar(start), _read_pictures, _open_pictures, _always),
}
