"""The pictures of a table, encoded in one of its columns, read one after the other."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from elboroom.data.formats.class_labels import class_names, known
from elboroom.data.formats.parallel import in_order
from elboroom.data.formats.picture_layout import Layout, Listing
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import Recipe, open_picture, upright_size, without_warnings
from elboroom.data.formats.table_columns import Columns
from elboroom.data.formats.table_values import groups, labels
from elboroom.data.formats.tables import Table, readable
from elboroom.data.groups import group_numbers
from elboroom.data.labels import NotClassesError, RawLabels, read_labels_of_parts
from elboroom.data.source import Source

_AT_ONCE = 16  # pictures that are read of a file
_NAMES_AT_ONCE = 4_096
_FEWEST_BYTES = 16  # of a picture in a file
_LONGEST_NAME = 255  # characters


@dataclass(frozen=True)
class _Row:
    """The name of a picture, and the bytes of its file, which are perhaps not in the table."""

    name: str
    content: bytes | None


class TablePictures:
    """The pictures of a table.

    Attributes:
        path: the file or the folder of its shards.
        layout: the name and the class of each picture of each part.
    """

    def __init__(self, path: Path, parts: Mapping[str, Table], columns: Columns) -> None:
        self.path, self._parts, self._columns = path, parts, columns
        named = {part: _names_and_labels(table, columns) for part, table in parts.items()}
        classes, positions, self._notes = _classes(columns, {p: y for p, (_, y) in named.items()})
        self.layout = Layout(
            {
                part: Listing(
                    names, [classes[p] for p in positions[part]] if part in positions else None
                )
                for part, (names, _) in named.items()
            },
            classes or None,
            [],
        )

    def __len__(self) -> int:
        return sum(len(part.files) for part in self.layout.parts.values())

    def read(self, part: str, recipe: Recipe) -> Iterator[PictureRow]:
        """Read the pictures of a part in their order, on all processors.

        Read them within `without_warnings`.
        """
        return in_order(partial(_read, recipe), self._rows(part))

    def sizes(self) -> tuple[Counter[tuple[int, int]], dict[tuple[int, int], str]]:
        """Count the sizes of all pictures by their headers, with the first name of each."""
        sizes, first = Counter[tuple[int, int]](), dict[tuple[int, int], str]()
        with without_warnings():
            for row in (row for part in self._parts for row in self._rows(part)):
                size = _size(row)
                if size is not None:
                    sizes[size] += 1
                    first.setdefault(size, row.name)
        return sizes, first

    def notes(self) -> list[str]:
        """Return what the user should know of the table, in short phrases."""
        return [*self._columns.notes, *self._notes, *self.layout.notes()]

    def with_groups(self, source: Source) -> Source:
        """Return the source of these pictures with the groups of the training rows, if any.

        Raises:
            DataError: if a picture was left out, so that the groups are not those of the rows.
        """
        column = self._columns.groups
        if column is None:
            return source
        values = groups(self._parts["train"], column)
        numbers = group_numbers(values, len(source.train), column)
        return replace(source, train=replace(source.train, groups=numbers))

    def _rows(self, part: str) -> Iterator[_Row]:
        table, names = self._parts[part], self.layout.parts[part].files
        assert self._columns.pictures is not None
        place = 0
        for file, batch in table.batches([self._columns.pictures], _AT_ONCE):
            with readable(file):
                if place + len(batch) > len(names):
                    raise ValueError(f"it has more rows than it declares, {len(names):,}")
            for content in _contents(batch.column(self._columns.pictures)):
                yield _Row(names[place], content)
                place += 1


def _contents(pictures: pa.Array) -> Iterator[bytes | None]:
    is_struct = pa.types.is_struct(pictures.type)
    for value in pictures.to_pylist():
        yield value["bytes"] if is_struct and value is not None else value


def _names_and_labels(table: Table, columns: Columns) -> tuple[list[str], np.ndarray | None]:
    """Return the name of each picture, and its label if there are labels."""
    counts = table.rows()
    for file, count in zip(table.files, counts, strict=True):
        _require_few(file, count)
    names, found = _numbered(table.files, counts), list[np.ndarray]()
    start = 0
    for file, batch in table.batches(_beside(table, columns), _NAMES_AT_ONCE):
        for number, path in enumerate(_paths(batch, columns), start):
            names[number] = path or names[number]
        start += len(batch)
        if columns.labels is not None:
            with readable(file):
                found.append(labels(batch.column(columns.labels), columns.classes))
    return names, known(found, columns.classes)


def _numbered(files: Sequence[Path], counts: Sequence[int]) -> list[str]:
    """Name each row by its file and its number in it."""
    return [
        f"{file.name}:{number}"
        for file, count in zip(files, counts, strict=True)
        for number in range(count)
    ]


def _require_few(file: Path, rows: int) -> None:
    """Check that a file is large enough for so many pictures, before they are named."""
    size = file.stat().st_size
    with readable(file):
        if rows > size // _FEWEST_BYTES:
            raise ValueError(f"it declares {rows:,} pictures in {size:,} bytes")


def _beside(table: Table, columns: Columns) -> list[str]:
    """Return the columns of the paths and of the labels of pictures."""
    has_path = pa.types.is_struct(table.schema.field(columns.pictures).type)
    paths = [f"{columns.pictures}.path"] if has_path else []
    return paths if columns.labels is None else [*paths, columns.labels]


def _paths(batch: pa.RecordBatch, columns: Columns) -> Iterator[str | None]:
    """Yield the name of each picture by its path, None where it has none that can be printed."""
    if columns.pictures not in batch.schema.names:
        return
    for path in batch.column(columns.pictures).field("path").to_pylist():
        yield _name(path) if isinstance(path, str) else None


def _name(path: str) -> str | None:
    is_name = path.isprintable() and len(path) <= _LONGEST_NAME
    return PurePosixPath(path).name or None if is_name else None


def _classes(
    columns: Columns, given: Mapping[str, np.ndarray | None]
) -> tuple[tuple[str, ...], dict[str, np.ndarray], list[str]]:
    """Return the classes, the place of each picture's class among them, and a note if none is."""
    raw = {part: values for part, values in given.items() if values is not None}
    if columns.labels is None or not raw:
        return (), {}, []
    names = None if columns.classes is None else class_names(columns.classes, raw.values())
    try:
        positions, classes = read_labels_of_parts(
            [RawLabels(values, len(values), columns.labels) for values in raw.values()], names
        )
    except NotClassesError as error:
        return (), {}, [f"{error.what}, and are left out: {error.why}"]
    return classes, dict(zip(raw, positions, strict=True)), []


def _read(recipe: Recipe, row: _Row) -> PictureRow:
    return PictureRow.read(row.name, partial(_content, row), recipe)


def _content(row: _Row) -> bytes:
    if row.content is None:
        raise ValueError(
            "the table has no bytes of it, at most its path, which is not followed; give the "
            "folder of the pictures, or write the table with their bytes, as save_to_disk does"
        )
    return row.content


def _size(row: _Row) -> tuple[int, int] | None:
    try:
        with open_picture(_content(row)) as picture:
            return upright_size(picture)
    except Exception:  # noqa: BLE001  # a damaged picture has no size; reading it tells why
        return None
