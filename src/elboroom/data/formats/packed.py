"""A packed array: pictures that `elboroom pack` made a `.npy` or shards, with their rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from elboroom.config import DataConfig
from elboroom.config.data import MNIST
from elboroom.data.formats.array_files import load_arrays
from elboroom.data.formats.array_shards import is_shard_folder, load_shards, numbered
from elboroom.data.formats.names import AbsentArraysError
from elboroom.data.formats.packed_rows import (
    PackedRows,
    not_of,
    read_recipe,
    read_rows,
    rows_file,
)
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.data.sharded_array import ShardedArray, Stored, stays_on_disk
from elboroom.data.source import Shards, Source, SourcePart
from elboroom.errors import DataError


def is_packed(path: Path) -> bool:
    """Return whether the rows of a `.npy` are in a file beside it, or of shards among them."""
    return (path.suffix == ".npy" or is_shard_folder(path)) and rows_file(path).is_file()


def read_packed(path: Path, config: DataConfig) -> Source:
    """Read a packed array as the pictures that it was made of, with their parts and classes.

    Raises:
        DataError: if the array cannot be read, or the file beside it is not that of its rows.
    """
    images = load_arrays(path, config.memory)["images"]
    rows = _read_rows(path, images, config)
    source = _source(path, images, rows)
    _require_scale(source, config)
    _require_values(path, source, rows)
    return source


def read_packed_shards(path: Path, config: DataConfig) -> Source:
    """Read the shards of a packed array as the pictures that they were made of.

    Raises:
        DataError: if a shard cannot be read or has changed, or the file of the rows is not theirs.
    """
    images, sizes = load_shards(path, config)
    rows = _read_rows(path, images, config)
    source = replace(_source(path, images, rows), shards=Shards(images, sizes))
    _require_scale(source, config)
    _require_shards(path, source, rows)
    return source


def _read_rows(path: Path, images: Stored, config: DataConfig) -> PackedRows:
    """Read the rows of an array, after checking that it may be one of pictures."""
    if config.unused:
        raise AbsentArraysError(path.name, config.unused, ["images"])
    _require_pictures(path, images)
    return read_rows(path, len(images))


def _require_scale(source: Source, config: DataConfig) -> None:
    parts = {"train": source.train, "validation": source.validation, "test": source.test}
    images = {name: part.images for name, part in parts.items() if part is not None}
    require_scale_of_pictures(source.name, images, None, config)


def as_packed(config: DataConfig) -> DataConfig:
    """Return options of data with those by which pictures were packed into them, if they were.

    Raises:
        DataError: if the file of their rows is damaged.
    """
    if config.source == MNIST or not is_packed(config.path):
        return config
    return replace(config, **read_recipe(config.path))


def _require_pictures(path: Path, images: Stored) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        found = f"{images.dtype} of shape {images.shape}"
        raise not_of(path, f"{path.name} is {found}; expected uint8 of shape (N, C, H, W)")


def _source(path: Path, images: Stored, rows: PackedRows) -> Source:
    parts = {
        part: SourcePart(
            images.part(place) if isinstance(images, ShardedArray) else images[place],
            rows.labels_of(part),
            rows.files[place],
            origin=part if len(rows.parts) > 1 else "",
        )
        for part, place in rows.places.items()
    }
    return Source(
        name=path.resolve().name if path.is_dir() else path.name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        classes=rows.classes,
        white=255.0,
        mapped=stays_on_disk(images),
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


def _require_shards(path: Path, source: Source, rows: PackedRows) -> None:
    """Check that each shard has the values that it was packed with."""
    found, packed = source.scan.shards, rows.shards
    if len(found) != len(packed):
        raise not_of(path, f"found {len(found):,} shards; {len(packed):,} were packed")
    for number in _changed(found, packed):
        raise DataError(
            f"the shard {numbered(path)[number]} has changed",
            why=f"the SHA-256 of its values begins {found[number][:16]}; that of the shard that "
            f"was packed begins {packed[number][:16]}",
            fix="fetch it again, or pack the pictures again by `elboroom pack --shard-rows`",
        )
    if source.sha256 != rows.sha256:
        raise not_of(path, "its SHA-256 is not that of its shards")


def _changed(found: Sequence[str], packed: Sequence[str]) -> list[int]:
    return [n for n, pair in enumerate(zip(found, packed, strict=True)) if len(set(pair)) > 1]
