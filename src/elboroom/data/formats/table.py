"""A table of pictures, of arrays or of numbers → Source."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from elboroom.config import DataConfig
from elboroom.data.formats.arrays import source_of
from elboroom.data.formats.class_labels import class_names, known
from elboroom.data.formats.errors import cannot_read, no_pictures, require_fit, require_no_recipe
from elboroom.data.formats.names import Role, role_of
from elboroom.data.formats.shards import shards_of
from elboroom.data.formats.table_columns import Columns, joined
from elboroom.data.formats.table_values import arrays, groups, labels, numbers
from elboroom.data.formats.tables import Table, readable, require_same_columns
from elboroom.data.source import Source
from elboroom.untrusted import require_dense

if TYPE_CHECKING:
    from elboroom.data.formats.gathered import Pictures

_LABELS = "labels"  # the name that the column of labels is given
_VALUES_AT_ONCE = 1 << 20
_ARRAYS_AT_ONCE = 256  # rows of arrays, whose size is not known before they are read
_AS_NPY = "save the values alone by numpy.save as a .npy, which can stay on disk"


def read_table(path: Path, config: DataConfig) -> Source:
    """Read a table in Parquet, Arrow or Feather, or a folder of its shards, as Hugging Face's.

    Args:
        path: the file or the folder.
        config: its `unused` names columns to leave out, its `group_by` the column of the groups of
            the training rows; its recipe prepares pictures.

    Raises:
        DataError: if it is damaged or hostile, does not fit into `memory`, has columns that would
            not be used or parts with other columns, or if pictures or values cannot be used.
    """
    parts, columns = _opened(path, config)
    read = _read_values if columns.pictures is None else _read_pictures
    return read(path, parts, columns, config)


@contextmanager
def open_table(path: Path, config: DataConfig) -> "Iterator[Pictures]":
    """Open the pictures of a table, as `read_table` reads them, with warnings silenced.

    Raises:
        DataError: if it holds no pictures, or as `read_table` does.
    """
    from elboroom.data.formats.pictures import without_warnings
    from elboroom.data.formats.table_pictures import TablePictures

    parts, columns = _opened(path, config)
    if columns.pictures is None:
        raise no_pictures(path)
    with without_warnings():
        yield TablePictures(path, parts, columns)


def has_pictures(path: Path, config: DataConfig) -> bool:
    """Return whether a table holds pictures, by its schema.

    Raises:
        DataError: if it cannot be read, or its columns cannot be used.
    """
    return _opened(path, config)[1].pictures is not None


def _opened(path: Path, config: DataConfig) -> tuple[dict[str, Table], Columns]:
    """Return the table of each part, and the columns that all of them have."""
    parts = {part: Table.open(files) for part, files in shards_of(path).items()}
    first = parts["train"]
    for other in parts.values():
        require_same_columns((first.files[0], first.schema), (other.files[0], other.schema))
    with readable(path):
        return parts, Columns.of(path.resolve().name, first.schema, config)


def _read_pictures(
    path: Path, parts: Mapping[str, Table], columns: Columns, config: DataConfig
) -> Source:
    # these need Pillow, which tables of values do not
    from elboroom.data.formats.folder import read_pictures
    from elboroom.data.formats.pictures import without_warnings
    from elboroom.data.formats.table_pictures import TablePictures

    pictures = TablePictures(path, parts, columns)
    with without_warnings():
        return pictures.with_groups(read_pictures(pictures, config))


def _read_values(
    path: Path, parts: Mapping[str, Table], columns: Columns, config: DataConfig
) -> Source:
    name = path.resolve().name
    require_no_recipe(name, config)
    found = dict[str, np.ndarray]()
    for part, table in parts.items():
        prefix = "" if part == "train" else f"{part}_"
        read = _read(path, table, columns, config.memory)
        found |= {prefix + key: values for key, values in read.items()}
    if columns.groups is not None:
        found[columns.groups] = groups(parts["train"], columns.groups)
    given = [values for key, values in found.items() if key.endswith(_LABELS)]
    if columns.classes is not None and given:
        found["class_names"] = class_names(columns.classes, given)
    source = source_of(name, found, replace(config, unused=()))
    notes = (*columns.notes, *source.notes)
    return replace(source, columns=columns.names, uses=_uses(columns, source), notes=notes)


def _read(path: Path, table: Table, columns: Columns, memory: float) -> dict[str, np.ndarray]:
    """Read the values of a part, and its labels and its mask, by names that have these roles."""
    pieces, held = defaultdict[str, list[np.ndarray]](list), 0
    step = _ARRAYS_AT_ONCE if columns.is_array else max(1, _VALUES_AT_ONCE // len(columns.values))
    with readable(path):
        for _, batch in table.batches(columns.read, step):
            for key, values in _converted(batch, columns).items():
                pieces[key].append(values)
                held += values.nbytes
            require_fit(path, held, memory, what="the rows that are read so far", fix=_AS_NPY)
            require_dense(table.size, held)
    if not pieces:
        raise cannot_read(path, "it has no rows", "give a table with at least two rows")
    given = known(pieces.pop(_LABELS, []), columns.classes)
    with readable(path):
        found = {key: np.concatenate(read) for key, read in pieces.items()}
    return found if given is None else found | {_LABELS: given}


def _converted(batch: pa.RecordBatch, columns: Columns) -> dict[str, np.ndarray]:
    """Return the values of some rows by names that have the roles of images, labels and mask."""
    found = dict[str, np.ndarray]()
    if columns.is_array:
        (name,) = columns.values
        found[name if role_of(name) == Role("train", "images") else "x"] = arrays(
            batch.column(name)
        )
    else:
        found["x"] = np.stack([numbers(batch.column(name)) for name in columns.values], axis=1)
    if columns.mask is not None:
        found["mask"] = arrays(batch.column(columns.mask))
    if columns.labels is not None:
        found[_LABELS] = labels(batch.column(columns.labels), columns.classes)
    return found


def _uses(columns: Columns, source: Source) -> str:
    """Return which columns were read as what."""
    used = {joined(columns.values): "images" if source.train.images.ndim == 4 else "rows"}
    used |= {} if columns.mask is None else {columns.mask: "mask"}
    used |= {} if columns.labels is None or source.classes is None else {columns.labels: "labels"}
    return ", ".join(f"{name} as {use}" for name, use in used.items())
