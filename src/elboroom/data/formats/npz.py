"""`.npz`: a zip of `.npy`, whose directory is checked before anything is decompressed.

Nothing is written to the disk: a name is only what an array is called.
"""

import io
import os
import zipfile
from pathlib import Path

import numpy as np

from elboroom.data.formats.npy import read_array
from elboroom.errors import DataError
from elboroom.untrusted import require_dense

_AT_ONCE = 1 << 20  # bytes read together, such as a whole directory
_MEMBERS = 1_000
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # numpy's; of others a few bytes may hold GiB
_ENCRYPTED = 0x1


def read_archive(path: Path, memory: float, *, copies: int) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, by name.

    Args:
        path: the file.
        memory: GiB that all of them may take, copied so often.
        copies: how often.

    Raises:
        DataError: they take more.
        ValueError: it is no zip of arrays, or one made to harm.
        OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error: it is torn.
    """
    with _Sparing(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _require_plain(members)
        total = sum(member.file_size for member in members)
        if copies * total > memory * 2**30:
            raise _too_large(path, total, memory)
        require_dense(file.size, total)
        return {_name(member): _array(archive, member) for member in members}


class _Sparing(io.BufferedReader):
    """Reads no more at once than arrays need, whatever the directory says of its own size."""

    @property
    def size(self) -> int:
        return os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self.size - self.tell())
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > _AT_ONCE:
            raise ValueError(f"its directory has {wanted:,} bytes, of {_AT_ONCE:,} at most")
        return super().read(wanted)


def _require_plain(members: list[zipfile.ZipInfo]) -> None:
    """That all are arrays by their names, each given once, packed as numpy packs them."""
    names = [_name(member) for member in members]
    if len(members) > _MEMBERS:
        raise ValueError(f"it has {len(members):,} members, of {_MEMBERS:,} at most")
    if len(set(names)) < len(names):
        raise ValueError("it has two arrays of one name")
    for member in members:
        if not member.filename.endswith(".npy"):
            raise ValueError(f"it holds {member.filename[:80]}, which is no array")
        if member.flag_bits & _ENCRYPTED:
            raise ValueError(f"{member.filename[:80]} is encrypted")
        if member.compress_type not in _KINDS:
            raise ValueError(f"{member.filename[:80]} is compressed in a way that numpy has not")


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return read_array(file, member.file_size)  # type: ignore[arg-type]  # read and sought


def _too_large(path: Path, size: int, memory: float) -> DataError:
    return DataError(
        f"{path} does not fit into --memory {memory:g}",
        why=f"its arrays are {size / 2**30:.3g} GiB, which reading doubles, and no part of a "
        ".npz can stay on disk",
        fix="save the images alone with numpy.save, as a .npy, or allow more --memory",
    )
