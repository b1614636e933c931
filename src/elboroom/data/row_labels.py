"""Labels that rows bring one by one → arrays, and the names of their classes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from elboroom.data.formats.class_labels import class_names, positions
from elboroom.errors import DataError

_OF_ARRAYS = (str, int, float, np.generic, np.ndarray, list, tuple)
"""Types of labels of which numpy makes one array, if their shapes are equal."""


@dataclass(frozen=True)
class GivenLabels:
    """The labels of the rows of a part.

    Attributes:
        values: one for each row.
        classes: the names that they count from 0, if the rows say them.
    """

    values: Sequence[object]
    classes: tuple[str, ...] | None


def arrays_of_labels(
    given: Mapping[str, GivenLabels], names: Sequence[str] | None
) -> dict[str, np.ndarray]:
    """Return the labels of each part in a usual form, and `class_names` if they are known.

    Args:
        given: the labels of each part that has some, by the name of its array.
        names: the names that labels count from 0; None takes those that the rows say.

    Raises:
        DataError: if the parts say other names, or there is no class of some label.
    """
    said = {labels.classes for labels in given.values()}
    if len(said - {None}) > 1:
        raise _unlike_classes(given)
    if names is None and len(said) == 1 and None not in said:
        return _of_known_classes(given)
    found = {part: _as_array(labels.values) for part, labels in given.items()}
    return found if names is None else found | {"class_names": np.array([*names])}


def _of_known_classes(given: Mapping[str, GivenLabels]) -> dict[str, np.ndarray]:
    (classes,) = {labels.classes or () for labels in given.values()}
    found = dict[str, np.ndarray]()
    for part, labels in given.items():
        numbers = np.array([-1 if x is None else x for x in map(_plain, labels.values)])
        try:
            found[part] = positions(numbers, len(classes))
        except ValueError as error:
            fix = "give the class_names that the labels count from 0"
            raise DataError(f"{part} cannot be used", why=str(error), fix=fix) from error
    return found | {"class_names": class_names(classes, found.values())}


def _as_array(values: Sequence[object]) -> np.ndarray:
    """Return labels as an array of their type, or of objects if that is not one."""
    plain = [_plain(value) for value in values]
    if all(isinstance(value, _OF_ARRAYS) for value in plain):
        with suppress(ValueError):  # their shapes differ
            return np.array(plain)
    return np.fromiter(plain, object, len(plain))


def _plain(label: object) -> object:
    return label.cpu().numpy() if isinstance(label, Tensor) else label


def _unlike_classes(given: Mapping[str, GivenLabels]) -> DataError:
    found = [f"{part} has {', '.join(labels.classes or ())}" for part, labels in given.items()]
    return DataError(
        "the parts have other names of classes",
        why="; ".join(found)[:400],
        fix="make the parts of one dataset, or cast their labels to one ClassLabel",
    )
