"""IDX, the file format of MNIST: a typed header, then the bytes of one array."""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from elboroom.errors import DataError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, sha256: str) -> np.ndarray:
    """Read a gzip-compressed IDX file of unsigned bytes.

    Args:
        path: the `.gz` file.
        sha256: expected digest of the uncompressed file.

    Returns:
        A uint8 array of the shape that the header gives.

    Raises:
        DataError: the bytes are not those expected, or not an IDX file of unsigned bytes.
    """
    content = _decompress(path)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _broken(path, f"its SHA-256 is {found}, expected {sha256}")
    return parse_idx(content, path)


def parse_idx(content: bytes, path: Path) -> np.ndarray:
    """Parse the bytes of an IDX file: 0, 0, type, rank, then `rank` big-endian sizes, then data."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise _broken(path, "its header is not that of an IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise _broken(path, "its header is cut short")
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], dtype=">u4"))
    if len(content) - start != math.prod(shape):
        raise _broken(
            path, f"its header promises shape {shape}, it holds {len(content) - start} bytes"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _decompress(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(path, str(error)) from error


def _broken(path: Path, why: str) -> DataError:
    return DataError(f"cannot read {path.name}", why=why, fix="reinstall elboroom")
