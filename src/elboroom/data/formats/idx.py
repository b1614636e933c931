"""IDX, the file format of MNIST: a typed header, then the bytes of one array."""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from elboroom.errors import DataError
from elboroom.untrusted import open_file

_UNSIGNED_BYTE = 0x08
_MOST_AXES = 4
_LARGEST = 48 << 20  # unpacked bytes; the largest file of MNIST has 47,040,016


def read_idx(path: Path, sha256: str) -> np.ndarray:
    """Read a gzip-compressed IDX file of unsigned bytes.

    Args:
        path: the `.gz` file.
        sha256: expected digest of the uncompressed file.

    Returns:
        A uint8 array of the shape that the header gives.

    Raises:
        DataError: if the digest differs, or it is not an IDX file of unsigned bytes.
    """
    content = _decompress(path)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _broken(path, f"found SHA-256 {found}; expected {sha256}")
    return parse_idx(content, path)


def parse_idx(content: bytes, path: Path) -> np.ndarray:
    """Parse the bytes of an IDX file: 0, 0, type, rank, then `rank` big-endian sizes, then data."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise _broken(path, "its header is not that of an IDX file of unsigned bytes")
    if not 1 <= content[3] <= _MOST_AXES:
        raise _broken(path, f"its header promises {content[3]} axes; expected 1 to {_MOST_AXES}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise _broken(path, "its header is cut short")
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], dtype=">u4"))
    if len(content) - start != math.prod(shape) or 0 in shape:
        raise _broken(
            path, f"its header promises shape {shape}; found {len(content) - start} bytes"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


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
