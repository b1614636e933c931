"""The rows of a packed array: `X.rows.npz` beside `X.npy` holds what the array does not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.data.formats.npz import read_archive
from elboroom.errors import DataError
from elboroom.untrusted import parse_json

_PARTS = ("train", "validation", "test")
_UNLABELLED = -1
_LONGEST_NAME = 1_000  # characters of a file's name
_DIGEST = 64  # characters of a SHA-256
_LARGEST_ROW = 4 * (_LONGEST_NAME + len("validation") + _DIGEST) + 8  # bytes
_LARGEST_REST = 16 << 20  # bytes of the recipe, the digest, and the names of the classes
RECIPE = ("size", "crop", "colour", "background")
"""Options of `DataConfig` that prepare pictures."""
_REQUIRED = {"part", "file", "recipe", "sha256"}
_LABELS = {"label", "class_names"}
_SHARDS = "shard_sha256"


@dataclass(frozen=True)
class PackedRows:
    """The part, the class and the file of each row of a packed array.

    Attributes:
        parts: the number of rows of each part, in the order of the array: train first, then
            validation and test if there are any.
        files: the file of each row, relative to the source, (N,).
        labels: (N,) int64, positions among the classes, -1 in a part without classes; None if
            there are no classes.
        classes: the name of each class; None if there are none.
        recipe: how pictures were made rows, as JSON: the options of `DataConfig` that prepare
            them, the source, and the versions of the programs.
        sha256: digest of the values of the array, in the order of its rows; of shards, the digest
            of theirs.
        shards: digest of the values of each shard; empty for one array.
    """

    parts: Mapping[str, int]
    files: tuple[str, ...]
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    recipe: str
    sha256: str
    shards: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    @property
    def places(self) -> dict[str, slice]:
        """The rows of each part."""
        ends = np.cumsum([*self.parts.values()]).tolist()
        return {
            part: slice(end - rows, end)
            for (part, rows), end in zip(self.parts.items(), ends, strict=True)
        }

    def labels_of(self, part: str) -> np.ndarray | None:
        """Return the labels of a part, or None if it has no classes."""
        labels = None if self.labels is None else self.labels[self.places[part]]
        return None if labels is None or (labels == _UNLABELLED).all() else labels

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of the file, by name; none of them holds objects.

        Raises:
            DataError: if the name of a file is too long.
        """
        longest = max(self.files, key=len)
        if len(longest) > _LONGEST_NAME:
            raise DataError(
                f"the name of {longest} is too long",
                why=f"found {len(longest):,} characters; at most {_LONGEST_NAME:,} are kept",
                fix="give it a shorter name, or put it into fewer folders",
            )
        arrays = {
            "part": np.repeat([*self.parts], [*self.parts.values()]),
            "file": np.array(self.files),
            "recipe": np.array(self.recipe),
            "sha256": np.array(self.sha256),
        }
        arrays |= {_SHARDS: np.array(self.shards)} if self.shards else {}
        if self.labels is None or self.classes is None:
            return arrays
        return arrays | {"label": self.labels, "class_names": np.array(self.classes)}


def rows_file(array: Path) -> Path:
    """Return the path of the rows of a packed array: beside a `.npy`, within a folder of shards."""
    return array / "rows.npz" if array.is_dir() else array.with_suffix(".rows.npz")


def read_rows(array: Path, rows: int) -> PackedRows:
    """Read the rows of a packed array.

    Args:
        array: the array; its rows are in the file beside it.
        rows: the number of rows that it has.

    Raises:
        DataError: if the file is damaged, or is not that of an array with so many rows.
    """
    path = rows_file(array)
    try:
        return _parsed(_arrays(path, rows), rows)
    except Exception as error:  # a damaged file also raises errors of zlib, zipfile and struct
        raise not_of(array, str(error) or "it is damaged") from error


def read_recipe(array: Path) -> dict[str, Any]:
    """Read the options by which the pictures of a packed array were prepared, by name.

    Raises:
        DataError: if the file of its rows is damaged.
    """
    path = rows_file(array)
    try:
        others = (_REQUIRED | _LABELS | {_SHARDS}) - {"recipe"}
        found = read_archive(path, _LARGEST_REST / 2**30, copies=1, unused=others)["recipe"]
        _require("recipe", found, "U", ())
        recipe = parse_json(str(found).encode())
        return {name: recipe[name] for name in RECIPE}
    except Exception as error:  # a damaged file also raises errors of zlib, zipfile and struct
        raise not_of(array, str(error) or "it is damaged") from error


def not_of(array: Path, why: str) -> DataError:
    """Return the error for a file of rows that does not belong to its array."""
    path = rows_file(array)
    return DataError(
        f"{path} does not hold the rows of {array.name}",
        why=why,
        fix="pack the pictures again by `elboroom pack`, or "
        + ("take it out of the folder" if array.is_dir() else "rename it")
        + " to read the array without its classes, parts and names",
    )


def _arrays(path: Path, rows: int) -> dict[str, np.ndarray]:
    try:
        most = _LARGEST_REST + rows * _LARGEST_ROW
        return read_archive(path, most / 2**30, copies=1)
    except DataError as error:
        raise ValueError(f"it is too large for {rows:,} rows") from error


def _parsed(arrays: Mapping[str, np.ndarray], rows: int) -> PackedRows:
    """Return the rows of the arrays of a file, after checking them."""
    if arrays.keys() - {_SHARDS} not in (_REQUIRED, _REQUIRED | _LABELS):
        raise ValueError(f"it has the arrays {_joined(arrays)}; expected {_joined(_REQUIRED)}")
    for name, shape in {"part": (rows,), "file": (rows,), "recipe": (), "sha256": ()}.items():
        _require(name, arrays[name], "U", shape)
    found = PackedRows(
        parts=_parts(arrays["part"]),
        files=tuple(arrays["file"].tolist()),
        labels=None,
        classes=None,
        recipe=str(arrays["recipe"]),
        sha256=str(arrays["sha256"]),
        shards=_digests(arrays[_SHARDS]) if _SHARDS in arrays else (),
    )
    return found if "label" not in arrays else _with_labels(found, arrays)


def _parts(part: np.ndarray) -> dict[str, int]:
    names, counts = np.unique(part, return_counts=True)
    found = dict(zip(names.tolist(), counts.tolist(), strict=True))
    parts = {name: found[name] for name in _PARTS if name in found}
    in_order = np.repeat([*parts], [*parts.values()])
    if "train" not in parts or not np.array_equal(part, in_order):
        raise ValueError(f"its rows are of {_joined(found)}; expected {', then '.join(_PARTS)}")
    return parts


def _digests(shards: np.ndarray) -> tuple[str, ...]:
    _require(_SHARDS, shards, "U", (shards.size,))
    return tuple(shards.tolist())


def _with_labels(found: PackedRows, arrays: Mapping[str, np.ndarray]) -> PackedRows:
    """Return the rows with their labels, after checking that these are positions among classes."""
    labels, classes = arrays["label"], arrays["class_names"]
    _require("label", labels, "i", (len(found),))
    _require("class_names", classes, "U", (classes.size,))
    if len(np.unique(classes)) < len(classes):
        raise ValueError("two of its classes have the same name")
    if labels.min() < _UNLABELLED or labels.max() >= len(classes):
        raise ValueError(
            f"its labels are {labels.min()} to {labels.max()}; it has {len(classes):,} classes"
        )
    rows = replace(found, labels=labels.astype(np.int64), classes=tuple(classes.tolist()))
    of_parts = (rows.labels_of(part) for part in rows.parts)
    if any(of_part is not None and of_part.min() == _UNLABELLED for of_part in of_parts):
        raise ValueError("some rows of a part have a label, and others have none")
    return rows


def _require(name: str, array: np.ndarray, kind: str, shape: tuple[int, ...]) -> None:
    if array.dtype.kind != kind or array.shape != shape:
        words = "strings" if kind == "U" else "integers"
        raise ValueError(
            f"its array {name} is {array.dtype} of shape {array.shape}; expected {words} of {shape}"
        )


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
