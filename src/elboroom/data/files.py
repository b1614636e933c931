"""Files of arrays: read into memory, or mapped where they are too large for it."""

from pathlib import Path

import numpy as np

from elboroom.errors import DataError

_NPY = np.lib.format.MAGIC_PREFIX
_COPIES = 2  # of the images: as they are read, and in the parts that are made of them


def load_arrays(path: Path, memory: float) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, or that of a `.npy` as `images`.

    Args:
        path: the file.
        memory: GiB that two copies of the arrays may take. A larger `.npy` is a `numpy.memmap`.

    Raises:
        DataError: no such file, not a file of arrays, or a large one that cannot be mapped.
    """
    try:
        with path.open("rb") as file:
            is_npy = file.read(len(_NPY)) == _NPY
            if is_npy and _is_large(path.stat().st_size, memory):
                return {"images": _mapped(path)}
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"images": loaded}
            _require_room(path, sum(array.file_size for array in loaded.zip.infolist()), memory)
            return dict(loaded)
    except DataError:
        raise
    except Exception as error:  # zlib, zipfile, tokenize: a torn file raises them all
        raise DataError(
            f"cannot read {path} as data",
            why=str(error) or "the file is empty",
            fix="give `mnist`, or a .npy or .npz file written by numpy.save or numpy.savez",
        ) from error


def _is_large(size: int, memory: float) -> bool:
    return _COPIES * size > memory * 2**30


def _require_room(path: Path, size: int, memory: float) -> None:
    if _is_large(size, memory):
        raise DataError(
            f"{path} does not fit into --memory {memory:g}",
            why=f"its arrays are {size / 2**30:.3g} GiB, which reading doubles, and no part of a "
            ".npz can stay on disk",
            fix="save the images alone with numpy.save, as a .npy, or allow more --memory",
        )


def _mapped(path: Path) -> np.ndarray:
    images = np.lib.format.open_memmap(path, mode="r")
    if images.flags.c_contiguous:
        return images
    raise DataError(
        f"{path} cannot stay on disk",
        why="it is in Fortran order, in which one image lies scattered over the whole file",
        fix="save numpy.ascontiguousarray of it, or allow more --memory",
    )
