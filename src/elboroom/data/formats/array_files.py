"""The arrays of numpy: read into memory, or mapped if they are too large for it."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from elboroom.data.formats.errors import COPIES, UnreadableArrayError, cannot_read, fits
from elboroom.data.formats.npy import read_array, read_header
from elboroom.data.formats.npz import ForeignZipError, read_archive
from elboroom.data.formats.unreadable import describe
from elboroom.errors import DataError
from elboroom.untrusted import open_file

_NPY, _ZIP = np.lib.format.MAGIC_PREFIX, b"PK"


def is_npy(start: bytes) -> bool:
    """Return whether a file that begins with `start` is a `.npy`."""
    return start.startswith(_NPY)


def is_npz(start: bytes) -> bool:
    """Return whether a file that begins with `start` is a `.npz`."""
    return start.startswith(_ZIP)


def load_arrays(path: Path, memory: float, unused: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Load the arrays of an `.npz` by name, or that of a `.npy` as `images`.

    The sizes and types that a file promises are checked before anything is allocated. No object is
    unpickled, and nothing is extracted to disk.

    Args:
        path: the file.
        memory: GiB that two copies of the arrays may take. A larger `.npy` is a `numpy.memmap`.
        unused: names of arrays that are not read; each is an empty array.

    Raises:
        DataError: if the file is missing, is not a file of arrays, or is too large and cannot be
            mapped.
    """
    try:
        with open_file(path) as file:
            start = file.read(len(_NPY))
        if is_npy(start):
            return {"images": _read_or_map(path, memory)}
        if not is_npz(start):
            raise ValueError("it does not begin as .npy or .npz" if start else "the file is empty")
        arrays = read_archive(path, memory, copies=COPIES, unused=unused)
        _require_dense_matrix(path, arrays)
        return arrays
    except DataError:
        raise
    except ForeignZipError as error:
        raise describe(path, str(error)) from error
    except UnreadableArrayError as error:
        raise cannot_read(path, str(error), error.fix) from error
    except Exception as error:  # a damaged file also raises errors of zlib, zipfile and struct
        raise cannot_read(path, str(error) or "it is damaged") from error


def _require_dense_matrix(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Check that the file is not a matrix that scipy.sparse.save_npz wrote."""
    if arrays.keys() >= {"format", "shape", "data"}:
        raise cannot_read(
            path,
            "it is a sparse matrix of scipy",
            f"save it dense: numpy.save('x.npy', scipy.sparse.load_npz('{path.name}')"
            ".toarray().astype('float32')); counts are read as real values, for which numpy.log1p "
            "of them is often better",
        )


def _read_or_map(path: Path, memory: float) -> np.ndarray:
    size = path.stat().st_size
    with path.open("rb") as file:
        if fits(size, memory):
            return read_array(file, size)
        read_header(file, size)
    return _map(path)


def _map(path: Path) -> np.ndarray:
    images = np.lib.format.open_memmap(path, mode="r")
    if images.flags.c_contiguous:
        return images
    raise DataError(
        f"{path} cannot stay on disk",
        why="it is in Fortran order, in which one image is scattered over the whole file",
        fix="save numpy.ascontiguousarray of it, or allow more --memory",
    )
