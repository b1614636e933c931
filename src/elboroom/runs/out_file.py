"""The file of --out: named arrays that a command writes where the user says."""

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from elboroom.errors import RunError
from elboroom.runs.atomic import write_file


def require_absent(path: Path) -> None:
    """Check that a file can be written at `path`, before any work is done.

    Raises:
        RunError: if it exists already, or its folder does not, or may not be written to.
    """
    if path.exists():
        raise RunError(
            f"{path} is in the way",
            why="results are never written over another file",
            fix="give another path, or delete the file",
        )
    if not path.parent.is_dir():
        raise RunError(
            f"{path} cannot be written",
            why=f"the folder {path.parent} does not exist",
            fix="create the folder, or give another path",
        )
    if not os.access(path.parent, os.W_OK):
        raise RunError(
            f"{path} cannot be written",
            why=f"you may not write in the folder {path.parent}",
            fix="ask for permission to write there, or give another path",
        )


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an .npz that `numpy.load` reads, whole or not at all.

    Raises:
        DiskError: if it cannot be written.
    """
    write_file(path, npz(arrays))


def npz(arrays: Mapping[str, Any]) -> bytes:
    """Return the content of an .npz; unlike `numpy.savez` it takes the name `file`."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)
    return buffer.getvalue()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an .npy that `numpy.load` reads, whole or not at all.

    Raises:
        DiskError: if it cannot be written.
    """
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_file(path, buffer.getvalue())
