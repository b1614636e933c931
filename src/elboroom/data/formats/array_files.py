"""Files of arrays: read into memory, or mapped where they are too large for it."""

from pathlib import Path

import numpy as np

from elboroom.data.formats.npy import read_array, read_header
from elboroom.data.formats.npz import read_archive
from elboroom.errors import DataError
from elboroom.untrusted import open_file

_NPY, _ZIP = np.lib.format.MAGIC_PREFIX, b"PK"
COPIES = 2  # of the images: as they are read, and in the parts that are made of them


def load_arrays(path: Path, memory: float) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, or that of a `.npy` as `images`.

    What a file says of its sizes and types is checked before anything is allocated. No object is
    unpickled, and nothing is extracted.

    Args:
        path: the file.
        memory: GiB that two copies of the arrays may take. A larger `.npy` is a `numpy.memmap`.

    Raises:
        DataError: no such file, not a file of arrays, or a large one that cannot be mapped.
    """
    try:
        with open_file(path) as file:
            start = file.read(len(_NPY))
        if start == _NPY:
            return {"images": _read(path, memory)}
        if not start.startswith(_ZIP):
            raise ValueError("it begins as no .npy or .npz does" if start else "the file is empty")
        return read_archive(path, memory, copies=COPIES)
    except DataError:
        raise
    except Exception as error:  # zlib, zipfile, struct: a torn file raises them all
        raise DataError(
            f"cannot read {path} as data",
            why=str(error) or "it is torn",
            fix="give `mnist`, a .npy or .npz file written by numpy.save or numpy.savez, or a "
            "folder of PNG pictures",
        ) from error


def _read(path: Path, memory: float) -> np.ndarray:
    size = path.stat().st_size
    with path.open("rb") as file:
        if COPIES * size <= memory * 2**30:
            return read_array(file, size)
        read_header(file, size)
    return _mapped(path)


def _mapped(path: Path) -> np.ndarray:
    images = np.lib.format.open_memmap(path, mode="r")
    if images.flags.c_contiguous:
        return images
    raise DataError(
        f"{path} cannot stay on disk",
        why="it is in Fortran order, in which one image lies scattered over the whole file",
        fix="save numpy.ascontiguousarray of it, or allow more --memory",
    )
