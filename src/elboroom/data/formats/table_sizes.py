"""The sizes that tables declare, checked before a library unpacks what they hold.

Parquet has them in its footer and in the headers of its pages, which are structs of Thrift; see
`parquet.thrift` of Apache Parquet. Arrow has them before each packed buffer; see `Message.fbs` of
Apache Arrow, whose tables are those of FlatBuffers.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

from elboroom.data.formats.thrift import ThriftReader, Wanted
from elboroom.untrusted import require_dense

_MAGIC, _LARGEST_FOOTER = b"PAR1", 16 << 20
_TAIL = 8  # bytes: the length of the footer, and the magic
_GROUPS, _COLUMNS, _CHUNK = 4, 1, 3
_ELSEWHERE = 1  # the path of another file that has a chunk
_PACKED, _DATA, _DICTIONARY = 7, 9, 11
_FOOTER: Wanted = {
    _GROUPS: {_COLUMNS: {_ELSEWHERE: {}, _CHUNK: {_PACKED: {}, _DATA: {}, _DICTIONARY: {}}}}
}
_SIZE, _PACKED_SIZE, _VALUES = 2, 3, 1
_KINDS = (5, 7, 8)  # of pages: of data, of a dictionary, of data in version 2
_PAGE: Wanted = {_SIZE: {}, _PACKED_SIZE: {}, **{kind: {_VALUES: {}} for kind in _KINDS}}

_ARROW_FILE, _PADDED = b"ARROW1", 8  # bytes of the magic
_HEADER, _BUFFERS, _COMPRESSION, _BATCH = 2, 2, 3, 1  # slots of the tables of FlatBuffers
_NOT_PACKED = -1  # the size of a buffer that is left as it is


def require_true_parquet(path: Path) -> None:
    """Check the footer and the pages of a Parquet file.

    Raises:
        ValueError: if it keeps columns in other files, or if its pages would unpack to too many
            bytes or values for its size.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            pages = [page for chunk in _chunks(content) for page in _pages(content, *chunk)]
            unpacked, values = (sum(sizes) for sizes in zip((0, 0), *pages, strict=True))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError("its footer, or the header of a page, is damaged") from error
        require_dense(len(content), unpacked)
        require_dense(len(content), values)


def require_true_arrow(path: Path) -> None:
    """Check the packed buffers of an Arrow or a Feather file.

    Raises:
        ValueError, struct.error: if it is damaged, or if they would unpack to too many bytes for
            its size.
    """
    with pa.memory_map(str(path)) as file:
        if file.read(len(_ARROW_FILE)) == _ARROW_FILE:
            file.seek(_PADDED)
        else:
            file.seek(0)
        size = path.stat().st_size
        require_dense(size, sum(map(_unpacked, ipc.MessageReader.open_stream(file))))


def _chunks(content: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Yield the places of the first byte of each chunk of a column, and of the byte after it."""
    length = int.from_bytes(content[-_TAIL:-4], "little")
    if content[-4:] != _MAGIC or length > min(_LARGEST_FOOTER, len(content) - _TAIL):
        raise ValueError(f"its footer is cut short, or longer than {_LARGEST_FOOTER:,} bytes")
    footer = ThriftReader(content[-_TAIL - length : -_TAIL]).struct(_FOOTER)
    for column in (column for group in footer[_GROUPS] for column in group[_COLUMNS]):
        if _ELSEWHERE in column:
            raise ValueError("it keeps columns in other files")
        chunk = column[_CHUNK]
        start = chunk.get(_DICTIONARY) or chunk[_DATA]
        yield min(start, chunk[_DATA]), start + chunk[_PACKED]


def _pages(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the bytes to which each page of a chunk unpacks, and the number of its values."""
    reader = ThriftReader(content, start)
    while 0 < reader.place < end:
        page = reader.struct(_PAGE)
        if page[_PACKED_SIZE] < 0:
            raise ValueError("it has a page of a negative size")
        reader.place += page[_PACKED_SIZE]
        yield page[_SIZE], sum(page[kind][_VALUES] for kind in _KINDS if kind in page)


def _unpacked(message: ipc.Message) -> int:
    """Return the bytes to which the packed buffers of a message unpack."""
    if message.type not in ("record batch", "dictionary"):
        return 0
    flat, body = (memoryview(buffer).cast("B") for buffer in (message.metadata, message.body))
    batch = _inner(flat, _inner(flat, 0), _HEADER)
    batch = batch if message.type == "record batch" else _inner(flat, batch, _BATCH)
    if _slot(flat, batch, _COMPRESSION) is None:
        return 0
    return sum(_declared(body, place, length) for place, length in _buffers(flat, batch))


def _buffers(flat: memoryview, batch: int) -> Iterator[tuple[int, int]]:
    """Yield the place and the length of each buffer in the body of a message."""
    vector = _inner(flat, batch, _BUFFERS)
    (count,) = struct.unpack_from("<I", flat, vector)
    yield from (struct.unpack_from("<qq", flat, vector + 4 + 16 * n) for n in range(count))


def _declared(body: memoryview, place: int, length: int) -> int:
    """Return the bytes to which a buffer unpacks, which stand before it."""
    if length == 0:
        return 0
    (size,) = struct.unpack_from("<q", body, place)
    if size < _NOT_PACKED or place < 0:
        raise ValueError("it has a buffer of a negative size")
    return 0 if size == _NOT_PACKED else size


def _inner(flat: memoryview, table: int, slot: int | None = None) -> int:
    """Return the place of what a slot of a table refers to, or of the table itself."""
    place = table if slot is None else _slot(flat, table, slot)
    if place is None:
        raise ValueError("a message lacks a part")
    return place + struct.unpack_from("<I", flat, place)[0]


def _slot(flat: memoryview, table: int, slot: int) -> int | None:
    """Return the place of a slot of a table; None if it is empty."""
    layout = table - struct.unpack_from("<i", flat, table)[0]
    place = 4 + 2 * slot
    if layout < 0 or place >= struct.unpack_from("<H", flat, layout)[0]:
        return None
    (offset,) = struct.unpack_from("<H", flat, layout + place)
    return table + offset if offset else None
