"""The use of the columns of a table, by their types, their names and the notes on them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from elboroom.config import DataConfig
from elboroom.data.formats.names import AbsentArraysError, Role, role_of
from elboroom.data.formats.tables import features
from elboroom.errors import DataError

_INDEX = re.compile(r"__index_level_\d+__")  # the name that pandas gives an index without one
_MOST_SHOWN = 9  # names in an error
_COORDINATE = "y"  # among columns of numbers rather beside x than a label


@dataclass(frozen=True)
class Columns:
    """The use of each column.

    Attributes:
        pictures: the column of encoded pictures, or None.
        values: the columns of numbers, in order; or the one of arrays; none beside pictures.
        is_array: True if there is one column of arrays.
        mask: the column of arrays that are True where a value is known, or None.
        labels: the column of labels, or None.
        classes: the names that labels count from 0, or None.
        groups: the column of the groups of rows, or None.
        left_out: columns that are not used.
    """

    pictures: str | None
    values: tuple[str, ...]
    is_array: bool
    mask: str | None
    labels: str | None
    classes: tuple[str, ...] | None
    groups: str | None
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, source: str, schema: pa.Schema, config: DataConfig) -> "Columns":
        """Find the use of the columns of a table.

        A column of pictures, or else of arrays, is the images. Without one, each column of numbers
        is a value of the rows. Beside pictures, what is neither labels nor groups is left out.

        Args:
            source: the file, for errors.
            schema: names and types of the columns.
            config: its `unused` names columns to leave out, its `group_by` that of the groups.

        Raises:
            DataError: if a column would not be used, if two would be used alike, or none.
        """
        absent = sorted(set(config.unused) - set(schema.names))
        if absent:
            raise AbsentArraysError(source, absent, schema.names)
        index = [name for name in schema.names if _INDEX.fullmatch(name)]
        types = {
            f.name: plain_type(f.type) for f in schema if f.name not in {*config.unused, *index}
        }
        groups = config.group_by if config.group_by in types else None
        pictures = [name for name, kind in types.items() if is_picture(kind)]
        arrays = [name for name, kind in types.items() if is_array(kind)]
        classes = _class_names(schema)
        labels = _labels(source, types, classes, is_table=not pictures and not arrays)
        mask = next((name for name in arrays if role_of(name) == Role("train", "mask")), None)
        of_rows = [name for name in arrays if name != mask]
        numbers = [n for n, kind in types.items() if is_number(kind) and n not in (labels, groups)]
        values = () if pictures else tuple(of_rows or numbers)
        if len(pictures) > 1 or len(of_rows) > 1:
            raise _twice(source, "images", pictures if pictures else of_rows)
        used = {*pictures, *values, mask, labels, groups}
        unused = [name for name in types if name not in used]
        if not pictures and not values:
            raise _nothing(source, schema)
        if unused and not pictures:
            raise _left_over(source, unused, values, types)
        return cls(
            pictures[0] if pictures else None,
            values,
            bool(of_rows),
            mask,
            labels,
            classes.get(labels or ""),
            groups,
            (*config.unused, *unused, *index),
        )

    @property
    def notes(self) -> list[str]:
        """The columns that are left out, in a phrase, if there are any."""
        return [f"left out the columns {joined(self.left_out)}"] if self.left_out else []

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values of a row; none for arrays and pictures."""
        return () if self.is_array else self.values

    @property
    def read(self) -> list[str]:
        """The columns that are read for the values of a part."""
        return [name for name in (*self.values, self.mask, self.labels) if name is not None]


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which values of a type of its own are stored."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def is_picture(kind: pa.DataType) -> bool:
    """Return whether a column is of encoded pictures, alone or with the path of each."""
    if pa.types.is_struct(kind):
        fields = {kind.field(n).name: kind.field(n).type for n in range(kind.num_fields)}
        return fields.keys() == {"bytes", "path"} and is_picture(fields["bytes"])
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def is_array(kind: pa.DataType) -> bool:
    """Return whether a column is of lists of numbers, or of lists of such lists."""
    kind, depth = plain_type(kind), 0
    while _is_list(kind):
        kind, depth = plain_type(kind.value_type), depth + 1
    return depth > 0 and is_number(kind)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column is of real numbers or booleans."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_number(kind.value_type)
    return any(
        test(kind) for test in (types.is_integer, types.is_floating, types.is_boolean, _is_decimal)
    )


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column is of text."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_decimal(kind: pa.DataType) -> bool:
    return pa.types.is_decimal(kind)


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of each column that `datasets` notes as labels."""
    noted = {
        n: f.get("names") for n, f in features(schema).items() if f.get("_type") == "ClassLabel"
    }
    names = {n: tuple(found) for n, found in noted.items() if isinstance(found, list)}
    return {n: found for n, found in names.items() if all(isinstance(name, str) for name in found)}


def _labels(
    source: str,
    types: Mapping[str, pa.DataType],
    classes: Mapping[str, tuple[str, ...]],
    *,
    is_table: bool,
) -> str | None:
    """Return the column of labels, by its note or its name; None if there is none."""
    may_be = [name for name, kind in types.items() if is_number(kind) or is_text(kind)]
    found = [
        name
        for name in may_be
        if name in classes
        or (
            role_of(name) == Role("train", "labels")
            and not (is_table and name.lower() == _COORDINATE)
        )
    ]
    if len(found) > 1:
        raise _twice(source, "labels", found)
    return found[0] if found else None


def _twice(source: str, what: str, names: Sequence[str]) -> DataError:
    return DataError(
        f"{source} has {len(names)} columns for the {what}",
        why=f"found {joined(names)}",
        fix=f"name those to leave out: --unused {' '.join(names[1:_MOST_SHOWN])}",
    )


def _left_over(
    source: str, left: Sequence[str], values: Sequence[str], types: Mapping[str, pa.DataType]
) -> DataError:
    found = ", ".join(f"{name} of type {str(types[name])[:80]}" for name in left[:_MOST_SHOWN])
    return DataError(
        f"{source} has columns that would not be used: {joined(left)}",
        why=f"{joined(values)} are read as the values; found {found}",
        fix=f"write numbers in their place, or leave them out: --unused {' '.join(left)}",
    )


def _nothing(source: str, schema: pa.Schema) -> DataError:
    return DataError(
        f"{source} has no images and no numbers",
        why=f"found the columns {joined(schema.names) or 'none'}",
        fix="write a column of pictures or of lists of numbers, or columns of numbers",
    )


def joined(names: Collection[str]) -> str:
    """Return the first of some names, parted by commas."""
    shown = list(names)[:_MOST_SHOWN]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")
