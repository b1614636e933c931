"""Zip files of arrays: the directory is checked before anything is decompressed.

Nothing is written to disk: a member's name is only a name.
"""

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from elboroom.data.formats.errors import require_fit
from elboroom.untrusted import require_dense

_LARGEST_READ = 1 << 20  # bytes; zipfile reads a whole directory at once
_MEMBERS = 1_000
# The methods that numpy and PyTorch write. A few bytes of the others can hold GiB.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class ZipFile:
    """A zip file whose directory was checked.

    Attributes:
        archive: the file.
        members: the members that are wanted.
        others: the names of all other members.
    """

    archive: zipfile.ZipFile
    members: list[zipfile.ZipInfo]
    others: list[str]


@contextmanager
def open_zip(
    path: Path, memory: float, *, copies: int, wanted: Callable[[str], bool]
) -> Iterator[ZipFile]:
    """Open a zip file whose wanted members fit into memory.

    Args:
        path: the file.
        memory: GiB that all copies of them may take.
        copies: number of copies.
        wanted: returns True for the name of a member that is to be read.

    Raises:
        DataError: if they take more.
        ValueError: if it is hostile.
        OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile: if it is damaged.
    """
    with BoundedReader(io.FileIO(path), _LARGEST_READ) as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _require_few(members)
        for member in members:
            require_plain(member)
        chosen = [member for member in members if wanted(member.filename)]
        total = sum(member.file_size for member in chosen)
        fix = "save the images alone with numpy.save, as a .npy"
        require_fit(path, total, memory, what="its arrays", fix=fix, copies=copies)
        require_dense(file.size, total)
        yield ZipFile(archive, chosen, [m.filename for m in members if not wanted(m.filename)])


class BoundedReader(io.BufferedReader):
    """A file that refuses large reads, and so a huge directory.

    `zipfile` makes an object of some hundred bytes for every entry of the directory before
    `infolist` can be counted: a directory of some MB would take GB of memory.

    Args:
        raw: the file.
        most: bytes that may be read at once.
    """

    def __init__(self, raw: io.FileIO, most: int) -> None:
        super().__init__(raw)
        self._most = most

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes.

        Raises:
            ValueError: if that is more than may be read at once.
        """
        left = max(0, self.size - self.tell())
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > self._most:
            raise ValueError(
                f"its directory is {wanted:,} bytes long; at most {self._most:,} are allowed"
            )
        return super().read(wanted)


def _require_few(members: list[zipfile.ZipInfo]) -> None:
    """Check that members are few, and named once."""
    names = [member.filename for member in members]
    if len(members) > _MEMBERS:
        raise ValueError(f"it has {len(members):,} members; at most {_MEMBERS:,} are allowed")
    if len(set(names)) < len(names):
        raise ValueError("it has two arrays of the same name")


def require_plain(member: zipfile.ZipInfo) -> None:
    """Check that a member is packed as numpy packs, and as most programs do.

    Raises:
        ValueError: if it is not.
    """
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{member.filename[:80]} is encrypted")
    if member.compress_type not in _METHODS:
        raise ValueError(f"{member.filename[:80]} is compressed by a method other than deflate")
