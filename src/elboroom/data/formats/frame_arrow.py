"""Tables of Parquet, Arrow and Feather ⇄ frames."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet

from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.tables import Table, readable
from elboroom.data.tables.frames import series_of
from elboroom.untrusted import require_dense

_ROWS_AT_ONCE = 1 << 14
_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
"""Types that gaps would make floats or objects."""


def read_arrow(path: Path, memory: float) -> pd.DataFrame:
    """Read a table, integers and booleans as types with gaps.

    Raises:
        DataError: if it is damaged, or does not fit into `memory` GiB.
    """
    return _frame(_read(path, memory))


def arrow_bytes(frame: pd.DataFrame, suffix: str, like: Path | None) -> bytes:
    """Return the content of a file of Parquet, or of Arrow.

    Args:
        frame: the table.
        suffix: of the file.
        like: the file that it was read of, whose types are kept.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False) if like is None else None
    if like is not None:
        old = _read(like, float("inf"))
        table = _like(frame, old) if old.column_names == [*frame.columns] else None
    if table is None:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    if suffix == ".parquet":
        parquet.write_table(table, sink)
    else:
        feather.write_feather(table, sink)
    return sink.getvalue().to_pybytes()


def _read(path: Path, memory: float) -> pa.Table:
    table, batches, held = Table.open([path]), list[pa.RecordBatch](), 0
    with readable(path):
        for _, batch in table.batches(table.schema.names, _ROWS_AT_ONCE):
            batches.append(batch)
            held += batch.nbytes
            require_fit(path, held, memory, what="its columns", fix="give fewer rows or columns")
            require_dense(table.size, held)
        found = pa.Table.from_batches(batches) if batches else table.schema.empty_table()
        return found.cast(table.schema)


def _frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper=_NULLABLE.get, ignore_metadata=True)


def _like(frame: pd.DataFrame, old: pa.Table) -> pa.Table:
    """Return a table with the types of another, and its columns where they are equal."""
    before = _frame(old)
    columns = [
        old.column(place)
        if len(frame) == len(before) and frame[field.name].equals(before[field.name])
        else pa.chunked_array([_array(series_of(frame, field.name), field.type)])
        for place, field in enumerate(old.schema)
    ]
    return pa.Table.from_arrays(columns, schema=old.schema)


def _array(series: pd.Series, kind: pa.DataType) -> pa.Array:
    found = pa.Array.from_pandas(series, type=None if pa.types.is_dictionary(kind) else kind)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
