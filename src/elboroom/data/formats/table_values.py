"""The values of a column of a table as arrays of numpy."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

from elboroom.data.formats.class_labels import positions
from elboroom.data.formats.table_columns import is_text
from elboroom.data.formats.tables import Table, readable

_ROWS_AT_ONCE = 1 << 16
_LONGEST_NAME = 1_000  # characters of a class


def numbers(values: pa.Array) -> np.ndarray:
    """Return real numbers or booleans (N,), with NaN where one is missing."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if pa.types.is_boolean(values.type) and values.null_count:
        values = values.cast(pa.uint8())
    return values.to_numpy(zero_copy_only=False)


def arrays(values: pa.Array) -> np.ndarray:
    """Return lists of numbers, and lists of such lists, as one array (N, …).

    Raises:
        ValueError: if the lists differ in length, or one is missing.
    """
    shape = [len(values)]
    while not _is_leaf(values := _storage(values)):
        lengths = compute.call_function("list_value_length", [values]).to_numpy(
            zero_copy_only=False
        )
        if values.null_count or (lengths != lengths[:1]).any():
            raise ValueError("its lists differ in length, or some are missing")
        shape.append(int(lengths[0]) if len(lengths) else 0)
        values = values.flatten()
    return numbers(values).reshape(shape)


def labels(values: pa.Array, classes: Sequence[str] | None) -> np.ndarray:
    """Return labels (N,) in a usual form; those of known classes as positions among them.

    Args:
        values: numbers or text; null is no label, and so is −1 for known classes.
        classes: the classes that labels count from 0; the position after the last is that of rows
            without a label.

    Raises:
        ValueError: if a text is too long for the name of a class, or there is no such class.
    """
    if is_text(values.type):
        return _texts(values)
    found = numbers(values)
    return found if classes is None else positions(found, len(classes))


def groups(table: Table, column: str) -> np.ndarray:
    """Return the values of the groups of all rows, numbers or text (N,).

    Raises:
        DataError: if the file is damaged, or a text is too long for a name.
    """
    read = list[np.ndarray]()
    for file, batch in table.batches([column], _ROWS_AT_ONCE):
        with readable(file):
            read.append(labels(batch.column(0), None))
    values = np.concatenate(read) if read else np.empty(0)
    return values.astype(str) if values.dtype == object else values


def _is_leaf(values: pa.Array) -> bool:
    return not pa.types.is_nested(values.type)


def _storage(values: pa.Array) -> pa.Array:
    return values.storage if isinstance(values, pa.ExtensionArray) else values


def _texts(values: pa.Array) -> np.ndarray:
    """Return texts as objects, None where one is missing."""
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    texts = values.dictionary.to_pylist()
    longest = max((len(text) for text in texts if text is not None), default=0)
    if longest > _LONGEST_NAME:
        raise ValueError(
            f"a label is {longest:,} characters long; at most {_LONGEST_NAME:,} are read"
        )
    names = np.array([*texts, None], object)
    return names[values.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)]
