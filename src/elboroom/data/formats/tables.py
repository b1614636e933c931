"""Tables in Parquet, Arrow and Feather: their columns, and their rows in batches.

The library pyarrow parses the files. See "Apache Arrow Columnar Format" and "Apache Parquet".
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet

from elboroom.data.formats.errors import cannot_read
from elboroom.data.formats.table_sizes import require_true_arrow, require_true_parquet
from elboroom.errors import DataError
from elboroom.untrusted import open_file, parse_json

_PARQUET, _FILE = b"PAR1", b"ARROW1"
_LARGEST_NOTE = 16 << 20  # bytes of one text in the metadata of a Parquet file, and its lists
_MOST_COLUMNS = 100_000
_BUFFER = 1 << 20  # bytes that are read of a Parquet file at once
_REPAIR = "write it again, such as by df.to_parquet or dataset.to_parquet"


@dataclass(frozen=True)
class Table:
    """The rows of one part: the same columns in one file or several.

    Attributes:
        files: the files, in the order of their rows.
        schema: names and types of the columns.
    """

    files: Sequence[Path]
    schema: pa.Schema

    @classmethod
    def open(cls, files: Sequence[Path]) -> "Table":
        """Read the schema of some files.

        Raises:
            DataError: if one cannot be read, or has other columns than the first.
        """
        schemas = [_schema(file) for file in files]
        for file, schema in zip(files, schemas, strict=True):
            require_same_columns((files[0], schemas[0]), (file, schema))
        return cls(files, schemas[0])

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.stat().st_size for file in self.files)

    def rows(self) -> list[int]:
        """Return the number of rows that each file declares.

        Raises:
            DataError: if a file is damaged.
        """
        found = list[int]()
        for file in self.files:
            with readable(file):
                found.append(_rows(file))
        return found

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[tuple[Path, pa.RecordBatch]]:
        """Yield some columns of all rows, at most `rows` at a time, with the file of each batch.

        Args:
            columns: their names; that of a field, such as image.path, leaves out the others where
                the file can be read so.
            rows: the most rows of a batch.

        Raises:
            DataError: if a file is damaged.
        """
        for file in self.files:
            with readable(file):
                for batch in _batches(file, columns, rows):
                    batch.validate(full=True)
                    for start in range(0, batch.num_rows, rows):
                        yield file, batch.slice(start, rows)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise every error of reading a table in this block as a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # a damaged file raises errors of many types
        raise cannot_read(path, str(error) or "it is damaged", _REPAIR) from error


def require_same_columns(first: tuple[Path, pa.Schema], other: tuple[Path, pa.Schema]) -> None:
    """Check that the columns of a file have the names and types of those of another.

    Raises:
        DataError: if they have not.
    """
    (path, schema), (name, found) = first, other
    unlike = {field.name for field in schema} ^ {field.name for field in found}
    unlike |= {
        f.name for f in found if f.name not in unlike and schema.field(f.name).type != f.type
    }
    if unlike:
        column = min(unlike)
        types = [s.field(column).type if column in s.names else "missing" for s in (schema, found)]
        raise DataError(
            f"the columns of {name.name} are not those of {path.name}",
            why=f"{column} is {types[0]} in {path.name}, and {types[1]} in {name.name}",
            fix="write all files with the same columns, or give one of them",
        )


def features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return what Hugging Face `datasets` notes of each column; nothing for tables of others.

    Raises:
        ValueError: if the note is not JSON of its form.
    """
    note = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))
    for key in ("info", "features"):
        note = note.get(key, {}) if isinstance(note, dict) else {}
    return {n: f for n, f in note.items() if isinstance(f, dict)} if isinstance(note, dict) else {}


def _schema(path: Path) -> pa.Schema:
    with readable(path):
        schema = _schema_of_parquet(path) if _is_parquet(path) else _schema_of_arrow(path)
        names = schema.names
        if len(set(names)) < len(names) or len(names) > _MOST_COLUMNS:
            raise ValueError(f"it has two columns of one name, or more than {_MOST_COLUMNS:,}")
        return schema


def _rows(path: Path) -> int:
    if _is_parquet(path):
        with _parquet(path) as opened:
            return opened.metadata.num_rows
    return sum(batch.num_rows for batch in _batches_of_arrow(path, [], 1))


def _batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    read = _batches_of_parquet if _is_parquet(path) else _batches_of_arrow
    yield from read(path, columns, rows)


def _is_parquet(path: Path) -> bool:
    with open_file(path) as file:
        return file.read(len(_PARQUET)) == _PARQUET


def _schema_of_parquet(path: Path) -> pa.Schema:
    """Read the schema, after checking the sizes that the file declares."""
    require_true_parquet(path)
    with _parquet(path) as opened:
        return opened.schema_arrow


def _batches_of_parquet(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches with text as dictionaries: one long text may recur in all rows."""
    with _parquet(path) as opened:
        schema = opened.schema_arrow
    texts = [f.name for f in schema if f.name in columns and _is_string(f.type)]
    with _parquet(path, texts) as opened:
        yield from opened.iter_batches(rows, columns=list(columns), use_threads=False)


def _is_string(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _parquet(path: Path, texts: Sequence[str] = ()) -> parquet.ParquetFile:
    return parquet.ParquetFile(
        path,
        read_dictionary=list(texts),
        buffer_size=_BUFFER,
        pre_buffer=False,
        thrift_string_size_limit=_LARGEST_NOTE,
        thrift_container_size_limit=_LARGEST_NOTE,
        page_checksum_verification=True,
    )


def _schema_of_arrow(path: Path) -> pa.Schema:
    require_true_arrow(path)
    with pa.memory_map(str(path)) as file, _arrow(file) as reader:
        return reader.schema


def _batches_of_arrow(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches as the file has them, which are not copied unless they are packed."""
    schema = _schema_of_arrow(path)
    chosen = dict.fromkeys(schema.get_field_index(column.split(".")[0]) for column in columns)
    with pa.memory_map(str(path)) as file, _arrow(file, list(chosen)) as reader:
        if isinstance(reader, ipc.RecordBatchStreamReader):
            yield from reader
        else:
            yield from map(reader.get_batch, range(reader.num_record_batches))


def _arrow(
    file: pa.MemoryMappedFile, chosen: Sequence[int] = ()
) -> ipc.RecordBatchFileReader | ipc.RecordBatchStreamReader:
    options = ipc.IpcReadOptions(included_fields=list(chosen), use_threads=False)
    is_file = file.read(len(_FILE)) == _FILE
    file.seek(0)
    return (
        ipc.open_file(file, options=options) if is_file else ipc.open_stream(file, options=options)
    )
