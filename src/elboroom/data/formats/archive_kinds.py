"""Archives of files, told by their first bytes."""

import zlib

_MAGIC, _MAGIC_AT = b"ustar", 257


def is_zip_of_files(start: bytes) -> bool:
    """Return True for a zip whose first member is no `.npy`, by the first 512 bytes."""
    length = int.from_bytes(start[26:28], "little")
    name = start[30 : 30 + length]
    return start.startswith(b"PK\3\4") and not name.endswith(b".npy") and name != b""


def is_tar(start: bytes) -> bool:
    """Return True for a tar, perhaps packed by gzip, by the first 512 bytes."""
    return _unpacked(start)[_MAGIC_AT:].startswith(_MAGIC)


def _unpacked(start: bytes) -> bytes:
    """Return the first bytes of what a gzip holds; others as they are."""
    if not start.startswith(b"\x1f\x8b"):
        return start
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(start, _MAGIC_AT + len(_MAGIC))
    except zlib.error:
        return b""
