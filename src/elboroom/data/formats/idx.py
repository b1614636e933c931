"""IDX, the file format of MNIST: a typed header, then the big-endian values of one array."""

import gzip
import hashlib
import math
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from elboroom.data.formats.errors import cannot_read, require_fit
from elboroom.errors import DataError
from elboroom.untrusted import open_file, require_dense

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 4
_LARGEST = 48 << 20  # unpacked bytes; the largest file of MNIST has 47,040,016
_GZIP = b"\x1f\x8b"
_NAME = re.compile(r"(.+?)[-.]idx[1-4]-(ubyte|byte|short|int|float|double)(\.gz)?")


@dataclass(frozen=True)
class IdxHeader:
    """Shape and type of the array in a file, and the length of the header in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype
    length: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return self.dtype.itemsize * math.prod(self.shape)


def is_idx(start: bytes) -> bool:
    """Return whether a file that begins with `start`, perhaps packed by gzip, is IDX."""
    if start.startswith(_GZIP):
        start = _unpacked_start(start)
    is_typed = start[:2] == b"\0\0" and len(start) >= 4 and start[2] in _TYPES
    return is_typed and 1 <= start[3] <= _MOST_AXES


def is_idx_folder(path: Path) -> bool:
    """Return whether a folder holds a file that is named as those of MNIST are."""
    try:
        return any(_NAME.fullmatch(name) for name in os.listdir(path))
    except (OSError, ValueError):  # it is a file, or its reader will say what is wrong
        return False


def load_idx(path: Path, memory: float) -> np.ndarray:
    """Load the array of an IDX file, packed by gzip or not.

    Args:
        path: the file.
        memory: GiB that two copies of the array may take.

    Raises:
        DataError: if it is not an IDX file, is damaged, or takes more memory.
    """
    try:
        with open_file(path) as file:
            packed, is_packed = os.fstat(file.fileno()).st_size, file.read(2) == _GZIP
            file.seek(0)
            unpacked = gzip.GzipFile(fileobj=file) if is_packed else file
            return _read(path, unpacked, packed, memory)  # type: ignore[arg-type]  # it is read
    except (OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise cannot_read(path, str(error)) from error


def load_idx_folder(path: Path, memory: float) -> Mapping[str, np.ndarray]:
    """Load all IDX files of a folder, by the start of their names, such as `train-images`.

    Raises:
        DataError: if it holds anything else, or `load_idx` refuses a file.
    """
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    found = {name: _NAME.fullmatch(name) for name in names}
    other = next((name for name, match in found.items() if match is None), None)
    if other is not None:
        raise cannot_read(path, f"it holds {other} beside IDX files", "take out all other files")
    arrays = {match[1]: load_idx(path / name, memory) for name, match in found.items() if match}
    if len(arrays) < len(names):
        raise cannot_read(path, "it holds an IDX file twice, packed and unpacked", "take one out")
    return arrays


def read_idx(path: Path, sha256: str) -> np.ndarray:
    """Read a gzip-compressed IDX file of elboroom itself.

    Args:
        path: the `.gz` file.
        sha256: expected digest of the uncompressed file.

    Returns:
        An array of the shape and type that the header gives.

    Raises:
        DataError: if the digest differs, or it is not an IDX file.
    """
    content = _decompress(path)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _broken(path, f"found SHA-256 {found}; expected {sha256}")
    try:
        return parse_idx(content)
    except ValueError as error:
        raise _broken(path, str(error)) from error


def parse_idx(content: bytes) -> np.ndarray:
    """Parse the bytes of an IDX file: 0, 0, type, rank, then `rank` big-endian sizes, then data.

    Raises:
        ValueError: if they are not those of a whole IDX file.
    """
    header = _parse_header(content)
    _require_size(header, len(content) - header.length)
    values = np.frombuffer(content, header.dtype, offset=header.length)
    return values.reshape(header.shape).astype(header.dtype.newbyteorder("="), copy=False)


def _read(path: Path, file: BinaryIO, packed: int, memory: float) -> np.ndarray:
    """Read an array after checking that what its header promises fits into memory."""
    start = file.read(4)
    start += file.read(4 * start[3]) if len(start) == 4 and start[3] <= _MOST_AXES else b""
    header = _parse_header(start)
    fix = "save the images as one .npy, which can stay on disk"
    require_fit(path, header.size, memory, what="its values", fix=fix)
    require_dense(packed, header.size)
    return parse_idx(start + file.read(header.size + 1))


def _parse_header(content: bytes) -> IdxHeader:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise ValueError("its header is not that of an IDX file")
    if not 1 <= content[3] <= _MOST_AXES:
        raise ValueError(f"its header promises {content[3]} axes; expected 1 to {_MOST_AXES}")
    length = 4 + 4 * content[3]
    if len(content) < length:
        raise ValueError("its header is cut short")
    shape = tuple(int(n) for n in np.frombuffer(content[4:length], dtype=">u4"))
    return IdxHeader(shape, np.dtype(_TYPES[content[2]]), length)


def _require_size(header: IdxHeader, found: int) -> None:
    if found != header.size or 0 in header.shape:
        raise ValueError(f"its header promises shape {header.shape}; found {found} bytes")


def _unpacked_start(start: bytes) -> bytes:
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(start, 4)
    except zlib.error:
        return b""


def _decompress(path: Path) -> bytes:
    try:
        with open_file(path) as file, gzip.open(file) as unpacked:
            content = unpacked.read(_LARGEST + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _broken(path, str(error)) from error
    if len(content) > _LARGEST:
        raise _broken(path, f"it contains more than {_LARGEST:,} bytes")
    return content


def _broken(path: Path, why: str) -> DataError:
    return DataError(f"cannot read {path.name}", why=why, fix="reinstall elboroom")
