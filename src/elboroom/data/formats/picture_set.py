"""The pictures of a folder or an archive: found, arranged, and read one after the other."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cached_property, partial
from itertools import chain
from pathlib import Path, PurePosixPath

from elboroom.data.formats.parallel import in_order
from elboroom.data.formats.picture_archives import files_of_tar, files_of_zip
from elboroom.data.formats.picture_files import LayoutError, PictureFiles, files_in
from elboroom.data.formats.picture_layout import Layout, counted
from elboroom.data.formats.picture_processes import PictureProcesses
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import (
    SUFFIXES,
    Recipe,
    kind_of,
    open_picture,
    upright_size,
    without_warnings,
)
from elboroom.data.formats.unreadable import describe
from elboroom.errors import DataError
from elboroom.untrusted import open_file

_ZIP = b"PK"
_OFFICE = "[Content_Types].xml"  # of a document of Office, which may hold pictures
_START = 32  # bytes that tell the kind of a picture
_ENDINGS = frozenset(chain.from_iterable(SUFFIXES.values()))
_RAW = (".arw", ".cr2", ".dng", ".erf", ".kdc", ".nef", ".nrw", ".orf", ".pef", ".rw2", ".srw")
"""Endings of raw photographs, which begin as a TIFF whose first picture is a preview."""
_MOST_SHOWN = 3  # names and sizes in a note or an error
_FEWEST = 2_000  # pictures that gain by processes, which start in some tenths of a second


class PictureSet:
    """The pictures of a folder or an archive.

    Attributes:
        path: the folder or the archive.
        layout: their parts and classes.
    """

    def __init__(self, path: Path, files: PictureFiles, processes: PictureProcesses | None) -> None:
        """Tell pictures from other files by their endings, and those of others by first bytes.

        Args:
            path: the folder or the archive.
            files: its files.
            processes: processes that read them, which may have just started; None for threads.

        Raises:
            DataError: if there are no pictures.
            LayoutError: if their folders may be neither parts nor classes.
        """
        self.path, self._files, self._processes = path, files, processes
        if _OFFICE in files.names:
            raise describe(path)
        is_picture = {name: _is_picture(files, name) for name in files.names}
        self._others = [name for name, found in is_picture.items() if not found]
        if len(self._others) == len(is_picture):
            raise self._nothing()
        self.layout = Layout.of(name for name, found in is_picture.items() if found)

    @cached_property
    def _ready(self) -> PictureProcesses | None:
        """The processes, once they are ready; None if there are none, or they cannot be had."""
        try:
            if self._processes is not None:
                self._processes.require_ready()
        except OSError:
            return None
        return self._processes

    def __len__(self) -> int:
        return sum(len(part.files) for part in self.layout.parts.values())

    def read(self, part: str, recipe: Recipe) -> Iterator[PictureRow]:
        """Read the pictures of a part in their order, on all processors."""
        names = self.layout.parts[part].files
        if self._ready is None:
            yield from in_order(partial(self._row, recipe), names)
        else:
            yield from self._ready.read(names, recipe)

    def sizes(self) -> tuple[Counter[tuple[int, int]], dict[tuple[int, int], str]]:
        """Count the sizes of all pictures by their headers, with the first name of each."""
        sizes, first = Counter[tuple[int, int]](), dict[tuple[int, int], str]()
        names = [name for part in self.layout.parts.values() for name in part.files]
        for name, size in zip(names, in_order(self._size, names), strict=True):
            if size is not None:
                sizes[size] += 1
                first.setdefault(size, name)
        return sizes, first

    def notes(self) -> list[str]:
        """Return what the user should know of the files, in short phrases."""
        notes = self.layout.notes()
        if self._others:
            notes.append(f"passed over {_count(self._others)}: {counted(self._others)}")
        if self._files.litter:
            litter = sorted({PurePosixPath(name).name for name in self._files.litter})
            shown = ", ".join(litter[:_MOST_SHOWN]) + (", …" if len(litter) > _MOST_SHOWN else "")
            count = len(self._files.litter)
            notes.append(f"passed over {count:,} hidden or system files: {shown}")
        return notes

    def _row(self, recipe: Recipe, name: str) -> PictureRow:
        return PictureRow.read(name, partial(self._files.content, name), recipe)

    def _size(self, name: str) -> tuple[int, int] | None:
        try:
            with open_picture(self._files.content(name)) as picture:
                return upright_size(picture)
        except Exception:  # noqa: BLE001  # a damaged picture has no size; reading it tells why
            return None

    def _nothing(self) -> DataError:
        found = counted(self._others) or "no files"
        why = f"found {found}; expected pictures"
        if not self.path.is_dir():
            return describe(self.path, why)
        return layout_error(self.path, LayoutError(why, _FIX))


_FIX = "give a folder of JPEG, PNG, WebP, TIFF, BMP or GIF"


def _is_picture(files: PictureFiles, name: str) -> bool:
    """Return True for a name that ends as that of a picture, and for other files that are one."""
    ending = os.path.splitext(name)[1].lower()
    if ending in _RAW:
        return False
    return ending in _ENDINGS or bool(kind_of(files.read(name, _START)))


def _count(names: list[str]) -> str:
    one = len(names) == 1
    return "1 file that is no picture" if one else f"{len(names):,} files that are no pictures"


@contextmanager
def open_pictures(path: Path, memory: float) -> Iterator[PictureSet]:
    """Open the pictures of a folder, of a `.zip` or of a `.tar`, which may be packed by gzip.

    Warnings are silenced in the block, as `without_warnings` does.

    Args:
        path: the folder or the file.
        memory: GiB that a packed `.tar` may take once it is unpacked.

    Raises:
        DataError: if there are no pictures that can be read, or it is hostile or damaged.
    """
    with ExitStack() as opened, without_warnings():
        try:
            files = opened.enter_context(_files(path, memory))
            pictures = PictureSet(path, files, opened.enter_context(_processes(files)))
        except LayoutError as error:
            raise layout_error(path, error) from error
        except (DataError, MemoryError):
            raise
        except Exception as error:  # a damaged archive raises errors of many types
            why, fix = str(error) or "it is damaged", "unpack it, and give the folder"
            fix = "make it readable, or give another folder" if path.is_dir() else fix
            raise layout_error(path, LayoutError(why, fix)) from error
        yield pictures


@contextmanager
def _processes(files: PictureFiles) -> Iterator[PictureProcesses | None]:
    """Start processes that read files, which end with the block.

    None are yielded if the files are few or in an archive, or if the system refuses.
    """
    processes = None
    if files.folder is not None and len(files.names) >= _FEWEST:
        with suppress(OSError):
            processes = PictureProcesses(files.folder)
    try:
        yield processes
    finally:
        if processes is not None:
            processes.end()


def _files(path: Path, memory: float) -> AbstractContextManager[PictureFiles]:
    if path.is_dir():
        return nullcontext(files_in(path))
    with open_file(path) as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    return files_of_zip(path) if is_zip else files_of_tar(path, memory)


def layout_error(path: Path, error: LayoutError) -> DataError:
    """Return the error for names that cannot be used."""
    what = "a folder" if path.is_dir() else "an archive"
    return DataError(f"{path} is not {what} of pictures", why=str(error), fix=error.fix)
