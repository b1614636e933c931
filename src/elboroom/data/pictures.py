"""One picture from a PNG file, as an event of the data."""

from pathlib import Path

import numpy as np
from PIL import Image

from elboroom.errors import DataError

_MODES = {1: "L", 3: "RGB"}


def read_picture(path: Path, event_shape: tuple[int, ...]) -> np.ndarray:
    """Read a picture as float32 in [0, 1] of `event_shape` (C, H, W).

    Raises:
        DataError: no such picture, or its size is not that of the model's images.
    """
    if len(event_shape) != 3 or event_shape[0] not in _MODES:
        raise DataError(
            f"{path} cannot be an event of shape {event_shape}",
            why="pictures have one (grey) or three (RGB) channels",
            fix="give the event as an array",
        )
    channels, height, width = event_shape
    try:
        with Image.open(path) as picture:
            _require_size(path, picture.size, (width, height))
            pixels = np.asarray(_in_bytes(picture).convert(_MODES[channels])) / np.float32(255)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(
            f"cannot read the picture {path}",
            why=str(error),
            fix="give the path of a PNG file",
        ) from error
    return np.moveaxis(pixels.reshape(height, width, channels), -1, 0)


def _in_bytes(picture: Image.Image) -> Image.Image:
    """16-bit greys scaled to 8 bits, which Pillow would clip; other pictures as they are."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def _require_size(path: Path, found: tuple[int, int], expected: tuple[int, int]) -> None:
    if found != expected:
        raise DataError(
            f"{path} has the wrong size",
            why=f"the model's images are {expected[0]} × {expected[1]} pixels, "
            f"this one is {found[0]} × {found[1]}",
            fix="resize it first",
        )
