"""The files of a `.zip` or a `.tar`, read where they stand: nothing is extracted to disk."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO

from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.names import part_of
from elboroom.data.formats.picture_files import (
    LARGEST_FILE,
    LayoutError,
    PictureFiles,
    require_few,
    require_name,
    without_litter,
)
from elboroom.data.formats.zip_files import BoundedReader, require_plain
from elboroom.untrusted import require_dense

_LARGEST_DIRECTORY = 64 << 20  # bytes of that of a zip, of half a million names
_PIECE = 1 << 20  # bytes that are read at once
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Member:
    """A file of an archive.

    Attributes:
        size: its bytes, as the archive says.
        read: called with a number of bytes.
    """

    size: int
    read: Callable[[int], bytes]


@contextmanager
def files_of_zip(path: Path) -> Iterator[PictureFiles]:
    """Open a zip file; its names are those of files in a folder.

    Raises:
        LayoutError: if a name leads out of it, is that of a link, or stands there twice.
        ValueError: if it is hostile.
        OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile: if it is damaged.
    """
    with (
        BoundedReader(io.FileIO(path), _LARGEST_DIRECTORY) as file,
        zipfile.ZipFile(file) as archive,
    ):
        yield _as_files(_zip_members(archive))


@contextmanager
def files_of_tar(path: Path, memory: float) -> Iterator[PictureFiles]:
    """Open a tar file, perhaps packed by gzip; its names are those of files in a folder.

    Args:
        path: the file.
        memory: GiB that a packed one may take once it is unpacked, in memory.

    Raises:
        DataError: if it takes more.
        LayoutError: if a name leads out of it, is that of a link, or stands there twice.
        ValueError: if it is hostile.
        OSError, EOFError, zlib.error, tarfile.TarError: if it is damaged.
    """
    with BoundedReader(io.FileIO(path), _PIECE) as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        tar = _unpacked(path, file, memory) if is_packed else file
        yield _as_files(_tar_members(tar))


def _zip_members(archive: zipfile.ZipFile) -> Iterator[tuple[str, _Member]]:
    lock = Lock()
    for info in archive.infolist():
        require_plain(info)
        name = info.filename.replace("\\", "/")  # as some programs of Windows write it
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _link(name)
        if not name.endswith("/"):
            yield name, _Member(info.file_size, _ZipReader(archive, info, lock))


@dataclass(frozen=True)
class _ZipReader:
    """Reads the first bytes of a member of a zip."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    lock: Lock

    def __call__(self, size: int) -> bytes:
        require_dense(self.info.compress_size, size)
        with self.lock, self.archive.open(self.info) as file:
            found = b"".join(_pieces(file, size))
            # Reading on to the end checks the checksum, and that there is no more.
            if size >= self.info.file_size and file.read(1):
                raise ValueError("it is longer than the archive says")
            return found


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _tar_members(file: IO[bytes]) -> Iterator[tuple[str, _Member]]:
    lock = Lock()
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # each takes a KiB
            name = info.name.removeprefix("./")
            if info.issym() or info.islnk():
                raise _link(name)
            if info.isdir():
                continue
            if not info.isreg() or info.issparse():
                raise LayoutError(f"{name} is no plain file", "pack the archive without it")
            yield name, _Member(info.size, _TarReader(file, info.offset_data, info.size, lock))


@dataclass(frozen=True)
class _TarReader:
    """Reads the first bytes of a member of a tar."""

    file: IO[bytes]
    offset: int
    size: int
    lock: Lock

    def __call__(self, size: int) -> bytes:
        size = min(size, self.size)
        with self.lock:
            self.file.seek(self.offset)
            return b"".join(_pieces(self.file, size))


def _unpacked(path: Path, file: BoundedReader, memory: float) -> io.BytesIO:
    """Unpack a gzip into memory, in which members can be sought."""
    unpacked, fix = io.BytesIO(), f"unpack it: gunzip {path}; a .tar may be of any size"
    with gzip.GzipFile(fileobj=file) as packed:
        while piece := packed.read(_PIECE):
            size = unpacked.tell() + len(piece)
            require_fit(path, size, memory, what="its files", fix=fix)
            require_dense(file.size, size)
            unpacked.write(piece)
    unpacked.seek(0)
    return unpacked


def _as_files(members: Iterable[tuple[str, _Member]]) -> PictureFiles:
    """Return members as files of a folder, without a folder that all of them are in."""
    found = dict[str, _Member]()
    for name, member in members:
        _require_inside(name)
        require_name(name)
        if name in found:
            raise LayoutError(f"the name {name} stands there twice", "pack the archive again")
        found[name] = member
        require_few(len(found))
    names, litter = without_litter(found)
    root = _root(names)
    within = {name.removeprefix(root): found[name] for name in names}
    return PictureFiles(
        list(within),
        litter,
        lambda name, size: within[name].read(size),
        lambda name: _content(name, within[name]),
    )


def _content(name: str, member: _Member) -> bytes:
    if member.size > LARGEST_FILE:
        found = f"{name} is {member.size:,} bytes long"
        raise ValueError(f"{found}; at most {LARGEST_FILE:,} are allowed")
    return member.read(member.size)


def _root(names: list[str]) -> str:
    """Return the innermost folder that all files are in, unless it is a part, with a `/`."""
    root = ""
    while names:
        folders = {name.removeprefix(root).partition("/")[::2] for name in names}
        outer = {folder for folder, rest in folders if rest}
        if len(outer) != 1 or any(not rest for _, rest in folders) or part_of(min(outer)):
            break
        root += min(outer) + "/"
    return root


def _require_inside(name: str) -> None:
    parts = name.split("/")
    if name.startswith("/") or not all(parts) or not {".", ".."}.isdisjoint(parts):
        raise LayoutError(f"the name {name[:80]!a} leads out of it", "pack the archive again")


def _link(name: str) -> LayoutError:
    return LayoutError(
        f"{name} is a link, which may lead out of the archive", "pack the file itself in its place"
    )
