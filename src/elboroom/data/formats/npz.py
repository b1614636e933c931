"""The `.npz` format, a zip of `.npy`."""

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from elboroom.data.formats.errors import UnreadableArrayError
from elboroom.data.formats.npy import read_array
from elboroom.data.formats.zip_files import open_zip


class ForeignZipError(ValueError):
    """A zip file that holds something else than arrays of numpy."""


def read_archive(
    path: Path, memory: float, *, copies: int, unused: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz`, by name.

    Args:
        path: the file.
        memory: GiB that all copies of all arrays may take.
        copies: number of copies.
        unused: names of arrays that are not read; each is an empty array.

    Raises:
        DataError: if they take more.
        ForeignZipError: if it holds anything else.
        ValueError: if it is hostile.
        OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error: if it is
            damaged.
    """
    with open_zip(
        path, memory, copies=copies, wanted=lambda name: _array_name(name) not in unused
    ) as opened:
        left_out = {_array_name(name): np.empty(0) for name in opened.others}
        _require_arrays([*opened.others, *(member.filename for member in opened.members)])
        return left_out | {
            _array_name(member.filename): _array(opened.archive, member)
            for member in opened.members
        }


def _require_arrays(names: list[str]) -> None:
    other = next((name for name in names if not name.endswith(".npy")), None)
    if other is not None:
        raise ForeignZipError(f"it contains {other[:80]}, which is not an array")


def _array_name(name: str) -> str:
    return name.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    try:
        with archive.open(member) as file:
            return read_array(file, member.file_size)  # type: ignore[arg-type]  # read and sought
    except UnreadableArrayError as error:
        name = _array_name(member.filename)
        raise UnreadableArrayError(
            f"of its array {name}: {error}", fix=f"{error.fix}; or leave it out by --unused {name}"
        ) from error
