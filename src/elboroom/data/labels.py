"""Labels in any usual form → positions among named classes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from elboroom.errors import DataError

UNLABELLED = "unlabelled"
"""The class of rows whose label is NaN or None."""
_NO_INTEGER = np.iinfo(np.int64).min  # its place among classes that are integers


@dataclass(frozen=True)
class RawLabels:
    """Labels of one part as they were given.

    Attributes:
        values: any array.
        rows: number of rows that need a label.
        where: the array that holds them, for errors.
    """

    values: np.ndarray
    rows: int
    where: str


class NotClassesError(DataError):
    """Labels that have an entry for each row, but not a class."""


def read_labels(labels: np.ndarray, rows: int, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the labels of one part.

    Args:
        labels: (N,), (N, 1) or (1, N) integers, booleans, whole floats, strings or objects of
            these; or one-hot (N, C). NaN and None stand for rows without a label.
        rows: the number N of rows.
        where: the array that holds them, for errors.

    Returns:
        Positions among the classes, (N,) int64, and the name of each class.

    Raises:
        DataError: if there is not one label for each row.
        NotClassesError: if there is, but it does not name a class.
    """
    (positions,), classes = read_labels_of_parts([RawLabels(labels, rows, where)])
    return positions, classes


def read_labels_of_parts(
    parts: Sequence[RawLabels], names: np.ndarray | None = None
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Read the labels of several parts as positions among the same classes.

    Args:
        parts: the labels of each part.
        names: the names of the classes if the labels are positions among them, (C,) strings.

    Raises:
        DataError, NotClassesError: as `read_labels` does.
    """
    keys = [_keys(part) for part in parts]
    if len({key.dtype.kind for key in keys}) > 1:
        raise DataError(
            "the labels of the parts differ in kind",
            why="; ".join(f"{p.where} has {_described(p.values)}" for p in parts),
            fix="save all of them as integers, or all as strings",
        )
    present = np.unique(np.concatenate(keys))
    if names is not None:
        return keys, _named(names, present, parts)
    order = sorted(present.tolist(), key=_sort_key)
    rank = {key: position for position, key in enumerate(order)}
    position = np.array([rank[key] for key in present.tolist()], np.int64)
    positions = [position[np.searchsorted(present, key)] for key in keys]
    return positions, tuple(UNLABELLED if key == _NO_INTEGER else str(key) for key in order)


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Sort names so that the numbers in them count as numbers: 2 before 10."""
    return sorted(names, key=_sort_key)


def _sort_key(key: int | str) -> tuple[object, ...]:
    """Return a key that compares digits as numbers; rows without a label come last."""
    if not isinstance(key, str):
        return (key == _NO_INTEGER, key)
    pieces = re.split(r"([0-9]+)", key)
    numbers = [(int(p), "") if n % 2 else (-1, p) for n, p in enumerate(pieces)]
    return (key == UNLABELLED, *numbers, (-2, key))


def _named(names: np.ndarray, present: np.ndarray, parts: Sequence[RawLabels]) -> tuple[str, ...]:
    """Return the names of classes that labels count from 0."""
    if present.dtype.kind != "i" or present[0] < 0 or present[-1] >= len(names):
        raise DataError(
            f"the labels {parts[0].where} are not positions among {len(names)} names of classes",
            why=f"found {present[0]} to {present[-1]}; expected 0 to {len(names) - 1}",
            fix="save integers that count the names from 0, or leave the names out",
        )
    return tuple(str(name) for name in names.tolist())


def _keys(part: RawLabels) -> np.ndarray:
    """Return one integer or string for each row, (N,)."""
    labels = np.asarray(part.values)
    if labels.shape == (1, part.rows):  # a row, as MATLAB writes vectors
        labels = labels.T
    if labels.ndim == 0 or len(labels) != part.rows or labels.ndim > 2 or 0 in labels.shape:
        raise DataError(
            f"the labels {part.where} do not fit the rows",
            why=f"found {_described(labels)}; expected {part.rows:,} labels",
            fix=f"save one label for each row, or leave them out with --unused {part.where}",
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        return _from_one_hot(labels, part.where)
    labels = labels.reshape(part.rows)
    if labels.dtype.kind == "O":
        labels = _without_objects(labels, part.where)
    if labels.dtype.kind == "f":
        return _from_floats(labels, part.where)
    if labels.dtype.kind in "iu":
        return _from_integers(labels, part.where)
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind in "bU":
        return labels.astype(str)
    raise _not_classes(part.where, _described(labels))


def _from_one_hot(labels: np.ndarray, where: str) -> np.ndarray:
    found = f"{_described(labels)} that is not one-hot"
    if labels.dtype.kind not in "buif":
        raise _not_classes(where, found)
    is_one_hot = ((labels == 0) | (labels == 1)).all() and ((labels != 0).sum(1) == 1).all()
    if not is_one_hot:
        raise _not_classes(where, found)
    return labels.argmax(1)


def _from_floats(labels: np.ndarray, where: str) -> np.ndarray:
    known = labels[~np.isnan(labels)]
    fractions = known[(known != np.round(known)) | (np.abs(known) >= 2**53)]
    if len(fractions):
        raise _not_classes(where, f"{fractions[0]:g}, which is not a whole number")
    return np.where(np.isnan(labels), _NO_INTEGER, np.nan_to_num(labels).astype(np.int64))


def _from_integers(labels: np.ndarray, where: str) -> np.ndarray:
    if labels.max() > np.iinfo(np.int64).max:
        raise _not_classes(where, f"{labels.max()}, which is beyond int64")
    return labels.astype(np.int64)


def _without_objects(labels: np.ndarray, where: str) -> np.ndarray:
    """Return an array of objects as one of strings or numbers."""
    known = [label for label in labels.tolist() if not _is_missing(label)]
    if known and all(isinstance(k, int | float | np.number | np.bool_) for k in known):
        return np.array([np.nan if _is_missing(k) else k for k in labels.tolist()], np.float64)
    if all(isinstance(k, str) for k in known):
        return np.array([UNLABELLED if _is_missing(k) else k for k in labels.tolist()], str)
    other = next((k for k in known if not isinstance(k, str)), None)
    raise _not_classes(where, f"objects of type {type(other).__name__}")


def _is_missing(label: object) -> bool:
    return label is None or (isinstance(label, float) and np.isnan(label))


def _described(labels: np.ndarray) -> str:
    return f"{labels.dtype} of shape {labels.shape}"


def _not_classes(where: str, found: str) -> NotClassesError:
    return NotClassesError(
        f"the labels {where} are not classes",
        why=f"found {found}; expected integers, strings, or one-hot rows",
        fix=f"save one class for each row, or leave them out with --unused {where}",
    )
