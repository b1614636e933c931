"""A folder of PNG pictures. All headers are checked before a pixel is decoded."""

import math
from pathlib import Path

import numpy as np

from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.folder_listing import Listing, TooManyError, list_parts
from elboroom.data.formats.png import PngHeader, picture_errors, read_header, read_pixels
from elboroom.data.source import Source, SourcePart
from elboroom.errors import DataError
from elboroom.untrusted import require_dense

_LAYOUT = (
    "put only .png files in it, or one folder of them for each class; a separate test part needs "
    "two folders, `train` and `test` (--validation takes its images from `train`)"
)
_REPAIR = "save it again as a PNG, or take it out of the folder"
_AS_ARRAY = "save the images as one .npy of uint8, which can stay on disk"


def read_folder(path: Path, memory: float = math.inf) -> Source:
    """Read pictures as uint8 (N, C, H, W): grey if all of them are, else RGB.

    The pictures are in the folder itself, or in one folder for each class. A label is the position
    of the class among the sorted names. If the folder holds only `train` and `test`, these are
    parts: each is such a folder, and both have the same classes. Names that begin with a dot are
    skipped.

    Args:
        path: the folder. It may be a symbolic link, but nothing in it may.
        memory: GiB that the images may take. Reading takes twice their size.

    Raises:
        DataError: if it holds anything else, pictures of different sizes, or more than `memory`.
    """
    train, test = _parts(path)
    files = [*train.files, *(test.files if test else [])]
    event_shape = _event_shape(path, files, memory)
    return Source(
        name=path.resolve().name,
        train=_part(train, path, event_shape),
        test=None if test is None else _part(test, path, event_shape),
        classes=tuple(train.classes) or None,
        white=255.0,
    )


def _parts(path: Path) -> tuple[Listing, Listing | None]:
    try:
        if (path / "config.toml").is_file():
            raise _run_error(path)
        return list_parts(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is not a folder of pictures",
            why=str(error),
            fix=_AS_ARRAY if isinstance(error, TooManyError) else _LAYOUT,
        ) from error


def _event_shape(path: Path, files: list[str], memory: float) -> tuple[int, int, int]:
    """Return the shape of every picture, (C, H, W), from the headers alone."""
    first, channels, unpacked, packed = _header(files[0]), 1, 0, 0
    for file in files:
        header = _header(file)
        if header.size != first.size:
            raise _size_error(file, header, files[0], first)
        channels = max(channels, header.channels)
        unpacked, packed = unpacked + header.unpacked, packed + header.packed
    width, height = first.size
    size = len(files) * channels * height * width
    require_fit(path, size, memory, what="its pictures", fix=_AS_ARRAY)
    _require_dense(path, packed, unpacked)
    return channels, height, width


def _header(file: str) -> PngHeader:
    with picture_errors(file, fix=_REPAIR):
        return read_header(Path(file))


def _part(listing: Listing, folder: Path, event_shape: tuple[int, ...]) -> SourcePart:
    files = tuple(str(Path(file).relative_to(folder)) for file in listing.files)
    return SourcePart(_images(listing.files, event_shape), listing.labels, files)


def _images(files: list[str], event_shape: tuple[int, ...]) -> np.ndarray:
    images = np.empty((len(files), *event_shape), np.uint8)
    for image, file in zip(images, files, strict=True):
        with picture_errors(file, fix=_REPAIR):
            image[:] = read_pixels(Path(file), event_shape)
    return images


def _require_dense(path: Path, packed: int, unpacked: int) -> None:
    try:
        require_dense(packed, unpacked)
    except ValueError as error:
        what = f"the pictures in {path} are too large for their files"
        raise DataError(what, why=str(error), fix=_AS_ARRAY) from error


def _run_error(path: Path) -> DataError:
    return DataError(
        f"{path} is a run, not a folder of pictures",
        why="it contains a config.toml",
        fix=f"give the folder of the pictures, or resume the run with --resume {path}",
    )


def _size_error(file: str, found: PngHeader, first: str, expected: PngHeader) -> DataError:
    (width, height), (first_width, first_height) = found.size, expected.size
    return DataError(
        f"{file} has another size than {first}",
        why=f"found {width} × {height} pixels; expected {first_width} × {first_height}",
        fix="resize all pictures to one size",
    )
