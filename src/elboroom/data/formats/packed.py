"""A packed array: pictures that `elboroom pack` made a `.npy`, with their rows beside it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from elboroom.config import DataConfig
from elboroom.config.data import MNIST
from elboroom.data.formats.array_files import load_arrays
from elboroom.data.formats.names import AbsentArraysError
from elboroom.data.formats.packed_rows import (
    PackedRows,
    not_of,
    read_recipe,
    read_rows,
    rows_file,
)
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.data.source import Source, SourcePart


def is_packed(path: Path) -> bool:
    """Return whether the rows of a `.npy` are in a file beside it."""
    return path.suffix == ".npy" and rows_file(path).is_file()


def read_packed(path: Path, config: DataConfig) -> Source:
    """Read a packed array as the pictures that it was made of, with their parts and classes.

    Raises:
        DataError: if the array cannot be read, or the file beside it is not that of its rows.
    """
    images = load_arrays(path, config.memory)["images"]
    if config.unused:
        raise AbsentArraysError(path.name, config.unused, ["images"])
    _require_pictures(path, images)
    rows = read_rows(path, len(images))
    source = _source(path, images, rows)
    require_scale_of_pictures(
        path.name, {part: images[place] for part, place in rows.places.items()}, None, config
    )
    _require_values(path, source, rows)
    return source


def as_packed(config: DataConfig) -> DataConfig:
    """Return options of data with those by which pictures were packed into them, if they were.

    Raises:
        DataError: if the file of their rows is damaged.
    """
    if config.source == MNIST or not is_packed(config.path):
        return config
    return replace(config, **read_recipe(config.path))


def _require_pictures(path: Path, images: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        found = f"{images.dtype} of shape {images.shape}"
        raise not_of(path, f"{path.name} is {found}; expected uint8 of shape (N, C, H, W)")


def _source(path: Path, images: np.ndarray, rows: PackedRows) -> Source:
    parts = {
        part: SourcePart(
            images[place],
            rows.labels_of(part),
            rows.files[place],
            origin=part if len(rows.parts) > 1 else "",
        )
        for part, place in rows.places.items()
    }
    return Source(
        name=path.name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        classes=rows.classes,
        white=255.0,
        mapped=isinstance(images, np.memmap),
        uses=f"{path.name} as images, {rows_file(path).name} as their {_beside(rows)}",
    )


def _beside(rows: PackedRows) -> str:
    """Name the facts of the rows that are beside their array."""
    found = {"parts": len(rows.parts) > 1, "classes": rows.classes is not None, "files": True}
    return ", ".join(name for name, is_there in found.items() if is_there)


def _require_values(path: Path, source: Source, rows: PackedRows) -> None:
    """Check that the array has the values that it was packed with."""
    if source.sha256 != rows.sha256:
        raise not_of(
            path,
            f"the SHA-256 of the values of {path.name} begins {source.sha256[:16]}; that of the "
            f"array that was packed begins {rows.sha256[:16]}",
        )
