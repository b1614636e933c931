"""The `.npz` format, a zip of `.npy`: its directory is checked before anything is decompressed.

Nothing is written to disk: a member's name is only the name of an array.
"""

import io
import os
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.npy import read_array
from elboroom.untrusted import require_dense

_LARGEST_READ = 1 << 20  # bytes; zipfile reads a whole directory at once
_MEMBERS = 1_000
# The methods that numpy writes. A few bytes of the others can hold GiB.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def read_archive(
    path: Path, memory: float, *, copies: int, unused: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz`, by name.

    Args:
        path: the file.
        memory: GiB that all copies of all arrays may take.
        copies: number of copies.
        unused: names of arrays that are not read; each is an empty array.

    Raises:
        DataError: if they take more.
        ValueError: if it is not a zip of arrays, or is hostile.
        OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error: if it is
            damaged.
    """
    with _BoundedReader(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _require_plain(members)
        wanted = [member for member in members if _name(member) not in unused]
        total = sum(member.file_size for member in wanted)
        fix = "save the images alone with numpy.save, as a .npy"
        require_fit(path, total, memory, what="its arrays", fix=fix, copies=copies)
        require_dense(file.size, total)
        left_out = {_name(member): np.empty(0) for member in members if member not in wanted}
        return left_out | {_name(member): _array(archive, member) for member in wanted}


class _BoundedReader(io.BufferedReader):
    """A file that refuses large reads, and so a huge directory.

    `zipfile` makes an object of some hundred bytes for every entry of the directory before
    `infolist` can be counted: a directory of some MB would take GB of memory.
    """

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes.

        Raises:
            ValueError: if that is more than is read at once of an archive of arrays.
        """
        left = max(0, self.size - self.tell())
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > _LARGEST_READ:
            raise ValueError(
                f"its directory is {wanted:,} bytes long; at most {_LARGEST_READ:,} are allowed"
            )
        return super().read(wanted)


def _require_plain(members: list[zipfile.ZipInfo]) -> None:
    """Check that all members are arrays by their names, named once and packed as numpy does."""
    names = [_name(member) for member in members]
    if len(members) > _MEMBERS:
        raise ValueError(f"it has {len(members):,} members; at most {_MEMBERS:,} are allowed")
    if len(set(names)) < len(names):
        raise ValueError("it has two arrays of the same name")
    for member in members:
        if not member.filename.endswith(".npy"):
            raise ValueError(f"it contains {member.filename[:80]}, which is not an array")
        if member.flag_bits & _ENCRYPTED:
            raise ValueError(f"{member.filename[:80]} is encrypted")
        if member.compress_type not in _METHODS:
            raise ValueError(
                f"{member.filename[:80]} is compressed by a method that numpy does not use"
            )


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return read_array(file, member.file_size)  # type: ignore[arg-type]  # read and sought
