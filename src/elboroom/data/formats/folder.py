"""A folder of PNG pictures: every header in it is checked before a pixel is decoded."""

import math
from pathlib import Path

import numpy as np

from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.folder_listing import Listing, TooManyError, list_parts
from elboroom.data.formats.png import PngHeader, picture_errors, read_header, read_pixels
from elboroom.data.source import Source
from elboroom.errors import DataError
from elboroom.untrusted import require_dense

_LAYOUT = (
    "put .png files alone in it, or in a folder for each class; a test part of its own is a folder "
    "`test` beside a folder `train`, of which --validation takes some"
)
_MEND = "save it again as a PNG, or take it out of the folder"
_AS_ARRAY = "save the images as one .npy of uint8, which can stay on disk"


def read_folder(path: Path, memory: float = math.inf) -> Source:
    """Read pictures as uint8 (N, C, H, W), grey if all of them are, else RGB.

    They lie in the folder, or in folders in it, which are classes: a label is the place of its name
    among the sorted names. The folders `train` and `test`, if it has no others, are parts, each of
    which is such a folder, with the same classes. Names that begin with a dot are passed over.

    Args:
        path: the folder; it may be a link, but nothing in it.
        memory: GiB that the images may take, which while they are read is twice their size.

    Raises:
        DataError: it holds anything else, pictures of different sizes, or more than `memory`.
    """
    train, test = _parts(path)
    files = [*train.files, *(test.files if test else [])]
    event_shape = _event_shape(path, files, memory)
    return Source(
        name=path.resolve().name,
        images=_images(train.files, event_shape),
        labels=train.labels,
        test_images=None if test is None else _images(test.files, event_shape),
        test_labels=None if test is None else test.labels,
        white=255.0,
    )


def _parts(path: Path) -> tuple[Listing, Listing | None]:
    try:
        if (path / "config.toml").is_file():
            raise _a_run(path)
        return list_parts(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is not a folder of pictures",
            why=str(error),
            fix=_AS_ARRAY if isinstance(error, TooManyError) else _LAYOUT,
        ) from error


def _event_shape(path: Path, files: list[str], memory: float) -> tuple[int, int, int]:
    """The shape of every picture, (C, H, W), by the headers alone."""
    first, channels, unpacked, packed = _header(files[0]), 1, 0, 0
    for file in files:
        header = _header(file)
        if header.size != first.size:
            raise _unlike(file, header, files[0], first)
        channels = max(channels, header.channels)
        unpacked, packed = unpacked + header.unpacked, packed + header.packed
    width, height = first.size
    size = len(files) * channels * height * width
    require_fit(path, size, memory, what="its pictures", fix=_AS_ARRAY)
    _require_dense(path, packed, unpacked)
    return channels, height, width


def _header(file: str) -> PngHeader:
    with picture_errors(file, fix=_MEND):
        return read_header(Path(file))


def _images(files: list[str], event_shape: tuple[int, ...]) -> np.ndarray:
    images = np.empty((len(files), *event_shape), np.uint8)
    for image, file in zip(images, files, strict=True):
        with picture_errors(file, fix=_MEND):
            image[:] = read_pixels(Path(file), event_shape)
    return images


def _require_dense(path: Path, packed: int, unpacked: int) -> None:
    try:
        require_dense(packed, unpacked)
    except ValueError as error:
        what = f"the pictures in {path} are too large for their files"
        raise DataError(what, why=str(error), fix=_AS_ARRAY) from error


def _a_run(path: Path) -> DataError:
    return DataError(
        f"{path} is a run, and not a folder of pictures",
        why="it holds a config.toml",
        fix=f"give the folder of the pictures, or go on with the run by --resume {path}",
    )


def _unlike(file: str, found: PngHeader, first: str, expected: PngHeader) -> DataError:
    (width, height), (first_width, first_height) = found.size, expected.size
    return DataError(
        f"{file} has another size than {first}",
        why=f"it is {width} × {height} pixels, the other is {first_width} × {first_height}",
        fix="bring all pictures to one size",
    )
