"""One picture from a file, as an event of the data."""

from functools import partial
from pathlib import Path

from elboroom.data.formats.picture_files import LARGEST_FILE
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import (
    Prepared,
    Recipe,
    open_picture,
    upright_size,
    without_warnings,
)
from elboroom.errors import DataError
from elboroom.untrusted import read_bytes


def read_event(path: Path, recipe: Recipe, event_shape: tuple[int, ...]) -> Prepared:
    """Read a picture as an event of the data.

    The size is checked before a pixel is decoded.

    Args:
        path: a JPEG, PNG, WebP, TIFF, BMP or GIF.
        recipe: makes it an array; its channels are those of the event.
        event_shape: (C, H, W).

    Raises:
        DataError: if there is no such picture, or the recipe keeps its size, which is another.
    """
    if len(event_shape) != 3 or event_shape[0] not in (1, 3):
        raise DataError(
            f"{path} cannot be an event of shape {event_shape}",
            why="pictures have one (grey) or three (RGB) channels",
            fix="give the event as an array",
        )
    channels, height, width = event_shape
    if recipe.size is None:
        _require_size(path, (width, height))
    with without_warnings():
        content = partial(read_bytes, path, LARGEST_FILE)
        row = PictureRow.read(str(path), content, recipe.with_channels(channels))
    if row.prepared is None:
        raise _unreadable(path, row.why)
    if row.prepared.values.shape != event_shape:  # EXIF at the end of the file has turned it
        raise _wrong_size(path, row.prepared.values.shape[:0:-1], (width, height))
    return row.prepared


def _require_size(path: Path, expected: tuple[int, int]) -> None:
    try:
        with without_warnings(), open_picture(read_bytes(path, LARGEST_FILE)) as picture:
            found = upright_size(picture)
    except Exception as error:  # a damaged picture raises an error of any type
        raise _unreadable(path, str(error) or "it is damaged") from error
    if found != expected:
        raise _wrong_size(path, found, expected)


def _wrong_size(path: Path, found: tuple[int, ...], expected: tuple[int, int]) -> DataError:
    return DataError(
        f"{path} has the wrong size",
        why=f"found {found[0]} × {found[1]} pixels; "
        f"expected {expected[0]} × {expected[1]}, the size of the model's images",
        fix="resize it first; a model that was trained by --size takes pictures of any size",
    )


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"cannot read the picture {path}",
        why=why,
        fix="give the path of a JPEG, PNG, WebP, TIFF, BMP or GIF",
    )
