"""Formats whose libraries are extras: how each is recognised, and the error without its library."""

from contextlib import AbstractContextManager
from pathlib import Path

from elboroom.data.formats.shards import is_table_folder
from elboroom.errors import DataError, extra_needed

_HDF5, _OF_MATLAB = b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3"
_ARROW_STREAM = b"\xff\xff\xff\xff"
_TEXT, _EXCEL = (".csv", ".tsv", ".tab"), (".xlsx", ".xlsm")
_ANNDATA = ".h5ad"  # whose arrays are parts of something else


def is_hdf5(path: Path, start: bytes) -> bool:
    """Return whether a file that begins with `start` is HDF5 of plain arrays, as MATLAB 7.3 is."""
    return start.startswith((_HDF5, _OF_MATLAB)) and path.suffix != _ANNDATA


def is_table(path: Path, start: bytes) -> bool:
    """Return whether a path is a table in Parquet or Arrow, or a folder of its shards."""
    return start.startswith((b"PAR1", b"ARROW1", _ARROW_STREAM)) or is_table_folder(path)


def is_columns(path: Path, start: bytes) -> bool:
    """Return whether a file is a table of columns by its name; text has no signature."""
    suffix = path.suffix.lower()
    return suffix in _TEXT or (suffix in _EXCEL and start.startswith(b"PK"))


def library_of(path: Path, library: str, extra: str) -> AbstractContextManager[None]:
    """Raise an error that names the extra if this block cannot import a library.

    Raises:
        DataError: if it is not installed.
    """
    return extra_needed(f"cannot read {path} as data", extra, library, error=DataError)
