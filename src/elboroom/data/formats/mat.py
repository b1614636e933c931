"""The MAT-file of MATLAB 5 to 7.2: numeric arrays, checked before they are unpacked.

A file is a header of 128 bytes, then elements: each has a tag of its type and its length. See
"MAT-File Format", The MathWorks.
"""

import math
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from elboroom.data.formats.errors import UnreadableArrayError, cannot_read, require_fit
from elboroom.errors import DataError
from elboroom.untrusted import read_bytes, require_dense

_HEADER = 128  # bytes
_COPIES = 3  # the file, its unpacked elements and the arrays
_MATRIX, _COMPRESSED = 14, 15
_VALUES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""The type of the values of an element, by its number."""
_CLASSES = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
"""The type of the values in MATLAB, which stores them in a smaller one if they fit."""
_OTHERS = {1: "a cell array", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix"}
_REPAIR = "save it again in MATLAB by save(..., '-v7')"
_LOGICAL, _COMPLEX = 0x02, 0x08
_MOST_AXES, _MOST_ARRAYS = 32, 1_000

ByteOrder = Literal["<", ">"]


@dataclass(frozen=True)
class _Element:
    """An element: the number of its type, and its bytes."""

    kind: int
    content: memoryview


def is_mat(start: bytes) -> bool:
    """Return whether a file that begins with `start` is a MAT-file of MATLAB 5 to 7.2."""
    return start.startswith(b"MATLAB 5.0 MAT")


def load_mat(path: Path, memory: float, unused: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Load the numeric arrays of a MAT-file by name.

    Args:
        path: the file.
        memory: GiB that all copies of the arrays may take.
        unused: names of arrays that are not read; each is an empty array.

    Raises:
        DataError: if it is damaged or hostile, takes more memory, or has an array that is not of
            real numbers and is not named as unused.
    """
    size = path.stat().st_size
    _require_fit(path, size, memory)
    try:
        content = read_bytes(path, size)
        return _arrays(path, memoryview(content), memory, unused)
    except DataError:
        raise
    except UnreadableArrayError as error:
        raise cannot_read(path, str(error), error.fix) from error
    except Exception as error:  # a damaged file also raises errors of numpy and zlib
        raise cannot_read(path, str(error) or "it is damaged", _REPAIR) from error


def _require_fit(path: Path, size: int, memory: float) -> None:
    fix = "save the images alone, as a .npy"
    require_fit(path, size, memory, what="its arrays", fix=fix, copies=_COPIES)


def _arrays(
    path: Path, content: memoryview, memory: float, unused: Collection[str]
) -> dict[str, np.ndarray]:
    order = _byte_order(content)
    arrays: dict[str, np.ndarray] = {}
    total = 0
    for element in _elements(content[_HEADER:], order):
        matrix = _unpacked(element, order, memory)
        total += len(matrix)
        _require_fit(path, total, memory)
        require_dense(len(content), total)
        name, array = _matrix(matrix, order, unused)
        if name in arrays or len(arrays) == _MOST_ARRAYS:
            raise ValueError(f"it has two arrays {name!r}, or more than {_MOST_ARRAYS:,}")
        if name:  # data of MATLAB's own have none
            arrays[name] = array
    return arrays


def _byte_order(content: memoryview) -> ByteOrder:
    """Return the byte order, from the last two bytes of the header."""
    mark = bytes(content[126:_HEADER])
    if mark not in (b"IM", b"MI"):
        raise ValueError("its header is cut short, or does not give the byte order")
    return "<" if mark == b"IM" else ">"


def _elements(content: memoryview, order: ByteOrder) -> Iterator[_Element]:
    """Yield the elements within some bytes."""
    place = 0
    while place < len(content):
        kind, size = (int(n) for n in np.frombuffer(content[place : place + 8], f"{order}u4"))
        start, step = place + 8, size
        if kind >> 16:  # a small element: both are in four bytes, its values in the next four
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            step = 0
        if size > len(content) - start or (start == place + 4 and size > 4):
            raise ValueError(f"an element promises {size:,} bytes, found {len(content) - start:,}")
        yield _Element(kind, content[start : start + size])
        place += 8 + (step if kind == _COMPRESSED else -8 * (-step // 8))


def _unpacked(element: _Element, order: ByteOrder, memory: float) -> memoryview:
    """Return the bytes of a matrix, whose packed form may unpack to a limited size."""
    if element.kind == _COMPRESSED:
        most = int(memory * 2**30 / _COPIES)
        unpacker = zlib.decompressobj()
        packed = len(element.content)
        head = unpacker.decompress(element.content, 8)
        size = 8 + (int(np.frombuffer(head, f"{order}u4")[1]) if len(head) == 8 else 0)
        require_dense(packed, size)
        if size > most:
            raise ValueError(f"an array promises {size:,} bytes; --memory allows {most:,}")
        content = head + unpacker.decompress(unpacker.unconsumed_tail, size)
        element = next(_elements(memoryview(content), order), _Element(0, memoryview(b"")))
    if element.kind != _MATRIX:
        raise ValueError(f"it has an element of type {element.kind}; expected arrays")
    return element.content


def _matrix(
    content: memoryview, order: ByteOrder, unused: Collection[str]
) -> tuple[str, np.ndarray]:
    """Return the name and the values of an array."""
    parts = _elements(content, order)
    flags, axes, name = (_next(parts).content for _ in range(3))
    word = int(np.frombuffer(flags, f"{order}u4")[0])
    kind, is_logical, is_complex = word & 0xFF, word >> 8 & _LOGICAL, word >> 8 & _COMPLEX
    label = bytes(name).decode("ascii", "replace")
    if label in unused or not label:
        return label, np.empty(0)
    if kind not in _CLASSES or is_complex:
        raise UnreadableArrayError(
            f"its array {label} is {'complex' if is_complex else _OTHERS.get(kind, 'an object')}; "
            "expected real numbers",
            fix=f"leave it out by --unused {label}, or save it in MATLAB as a numeric array",
        )
    shape = tuple(int(n) for n in np.frombuffer(axes, f"{order}i4"))
    values = _next(parts)
    if values.kind not in _VALUES:
        raise ValueError(f"its array {label} has values of the unknown type {values.kind}")
    array = _shaped(np.frombuffer(values.content, order + _VALUES[values.kind]), shape, label)
    array = array.astype(_CLASSES[kind])
    return label, array != 0 if is_logical else array


def _next(parts: Iterator[_Element]) -> _Element:
    element = next(parts, None)
    if element is None:
        raise ValueError("an array is cut short")
    return element


def _shaped(values: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return values in the order of MATLAB, the first axis fastest, as an array of `shape`."""
    if not 2 <= len(shape) <= _MOST_AXES or min(shape) < 0 or math.prod(shape) != values.size:
        raise ValueError(f"its array {name} promises shape {shape}, found {values.size:,} values")
    return values.reshape(shape, order="F")
