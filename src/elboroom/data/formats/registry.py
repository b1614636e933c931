"""The formats of data: how each is recognised and read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elboroom.config import DataConfig
from elboroom.config.kinds import FormatName
from elboroom.data.formats.array_files import is_npy, is_npz
from elboroom.data.formats.arrays import read_array
from elboroom.data.formats.errors import cannot_read
from elboroom.data.source import Source
from elboroom.untrusted import open_file

_START = 16  # bytes: longer than the signature of any format


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
        recognises: called with the path and its first 16 bytes, which are empty for a folder. It
            returns True for this format, by these bytes or by the name, and reads nothing else.
            Formats are asked in the order of `FORMATS`; the first that returns True reads.
        read: called with the path and the options of the data. It returns a `Source`, whose parts
            have images as uint8, or as float32 with NaN where a value is missing, their shape
            (N, *event) with channels first, and labels as int64. A format that can stay on disk
            returns an array that reads rows when it is indexed, with `mapped=True`, if the images
            do not fit `memory`; any other raises by `require_fit`. `binarisation` "none" permits
            floats outside [0, 1]. An option of one format is a field of `DataConfig`.
    """

    recognises: Callable[[Path, bytes], bool]
    read: Callable[[Path, DataConfig], Source]


def read_data(path: Path, config: DataConfig) -> Source:
    """Read a file or a folder by the first format that recognises it.

    Raises:
        DataError: if there is nothing at `path`, no format recognises it, or its reader refuses it.
    """
    start = _first_bytes(path)
    for form in FORMATS.values():
        if form.recognises(path, start):
            return form.read(path, config)
    raise cannot_read(path, "its first bytes are of no known format" if start else "it is empty")


def _first_bytes(path: Path) -> bytes:
    try:
        if os.path.isdir(path):
            return b""
        with open_file(path) as file:
            return file.read(_START)
    except (OSError, ValueError) as error:
        raise cannot_read(path, str(error)) from error


def _read_arrays(path: Path, config: DataConfig) -> Source:
    return read_array(path, real=config.binarisation in ("auto", "none"), memory=config.memory)


def _read_folder(path: Path, config: DataConfig) -> Source:
    from elboroom.data.formats.folder import read_folder  # needs Pillow, which no other format does

    return read_folder(path, memory=config.memory)


FORMATS: dict[FormatName, Format] = {
    "npy": Format(lambda path, start: is_npy(start), _read_arrays),
    "npz": Format(lambda path, start: is_npz(start), _read_arrays),
    "folder": Format(lambda path, start: path.is_dir(), _read_folder),
}
