"""The fields of a row that an object of Python gives: its values, its label and its group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image
from torch import Tensor

from elboroom.config import DataConfig
from elboroom.data.formats.names import role_of
from elboroom.errors import DataError

_ENCODED = {"bytes", "path"}  # of a picture of `datasets` that is not decoded


@dataclass(frozen=True)
class Row:
    """The fields of a row that are used.

    Attributes:
        values: a picture or an array.
        labels: the label, if there is one.
        classes: the names that the label counts from 0, if they are known.
        groups: the group, if there is one.
        left_out: names of the other fields.
    """

    values: object
    labels: tuple[object, ...] = ()
    classes: tuple[str, ...] | None = None
    groups: tuple[object, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowFields:
    """The way to find the values, the label and the group of a row.

    Attributes:
        unused: names of fields to leave out.
        group_by: the name of the field of groups, or None.
        classes: the names of the classes by the field of their labels, as `datasets` says them.
    """

    unused: tuple[str, ...] = ()
    group_by: str | None = None
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: object, config: DataConfig) -> "RowFields":
        """Return the fields of an object's rows, by options and by what it says of its columns."""
        return cls(config.unused, config.group_by, _class_names(rows))

    def row(self, name: str, item: object) -> Row:
        """Find the fields of a row, whose `name` is for errors.

        Raises:
            DataError: if a field would not be used, or two are used alike.
        """
        if isinstance(item, Mapping) and not is_picture(item):
            return self._by_name(name, {str(key): value for key, value in item.items()})
        if isinstance(item, list) and any(isinstance(x, Tensor | Image.Image) for x in item[:1]):
            fix = "give it as a tuple, such as by a generator ((x, y) for x, y in dataset)"
            raise row_error(name, "found a list; expected x, or x and its label as (x, y)", fix)
        if not isinstance(item, tuple):
            return Row(item)
        if len(item) not in (1, 2):
            fix = "give (x, y), or x alone, such as by a generator ((x, y) for x, y, *_ in dataset)"
            raise row_error(name, f"found {len(item)} fields; expected x, or x and its label", fix)
        return Row(item[0], item[1:])

    def _by_name(self, name: str, item: Mapping[str, object]) -> Row:
        given = [key for key in item if key not in (*self.unused, self.group_by)]
        labels = [key for key in given if self._is_label(key)]
        others = [key for key in given if key not in labels]
        pictures = [key for key in others if is_picture(item[key])]
        values = pictures or others
        if len(values) != 1 or len(labels) > 1:
            raise _fields_error(name, item, labels, values)
        used = {*values, *labels, self.group_by}
        return Row(
            item[values[0]],
            tuple(item[key] for key in labels),
            self.classes.get(labels[0]) if labels else None,
            tuple(item[key] for key in item if key == self.group_by),
            tuple(key for key in item if key not in used),
        )

    def _is_label(self, key: str) -> bool:
        role = role_of(key)
        return key in self.classes or (role is not None and role.kind == "labels")


def is_picture(value: object) -> bool:
    """Return whether a value is a picture of Pillow, or the bytes of its file."""
    is_encoded = isinstance(value, Mapping) and value.keys() == _ENCODED
    return is_encoded or isinstance(value, Image.Image | bytes)


def row_error(name: str, why: str, fix: str) -> DataError:
    """Return the error for a row."""
    return DataError(f"{name} cannot be used", why=why, fix=fix)


@runtime_checkable
class _Featured(Protocol):
    """A `datasets.Dataset`, which says the kind of each column, or None if it does not know it."""

    @property
    def features(self) -> Mapping[str, object] | None: ...


@runtime_checkable
class _ClassLabel(Protocol):
    """A `datasets.ClassLabel`, the kind of a column of labels."""

    num_classes: int
    names: Sequence[str]


def _class_names(rows: object) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of each column of labels, if the rows say them."""
    features = rows.features if isinstance(rows, _Featured) else None
    noted = features.items() if isinstance(features, Mapping) else ()
    return {name: tuple(kind.names) for name, kind in noted if isinstance(kind, _ClassLabel)}


def _fields_error(
    name: str, item: Mapping[str, object], labels: Sequence[str], values: Sequence[str]
) -> DataError:
    found = f"found the fields {', '.join(item)}; expected one of images or values, and perhaps "
    fix = f"leave out the others: DataConfig(unused={(*values[1:], *labels[1:])})"
    if len(labels) < 2 and len(values) > 1 and all(map(_is_number, item.values())):
        fix = "give the numbers of a row as one array, or write all rows to a table in Parquet"
    elif not values:
        fix = "give the values under a name such as image or x"
    return row_error(name, found + "a label", fix)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)
