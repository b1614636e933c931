"""One picture from a PNG file, as an event of the data."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from elboroom.errors import DataError
from elboroom.foreign import read_bytes

_MODES = {1: "L", 3: "RGB"}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_CHUNKS = 10_000
_ANCILLARY = 4 << 20  # bytes, of colour profiles and texts
_DEEPEST = 8  # bytes a pixel: four channels of 16 bits


def read_picture(path: Path, event_shape: tuple[int, ...]) -> np.ndarray:
    """Read a picture as float32 in [0, 1] of `event_shape` (C, H, W).

    Its size is checked before a pixel is decoded. Of an animation it is the still image, and what
    is transparent has the colour that it hides.

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
        content = read_bytes(path, _ANCILLARY + 2 * _DEEPEST * width * height)
        chunks = list(_chunks(content))
        _require_size(path, struct.unpack(">II", chunks[0][8:16]), (width, height))
        with Image.open(BytesIO(_SIGNATURE + b"".join(chunks)), formats=["PNG"]) as picture:
            pixels = np.asarray(_in_bytes(picture).convert(_MODES[channels])) / np.float32(255)
    except DataError:
        raise
    except Exception as error:  # a torn picture raises more than OSError, ValueError, SyntaxError
        raise DataError(
            f"cannot read the picture {path}",
            why=str(error) or "it is torn",
            fix="give the path of a PNG file",
        ) from error
    return np.moveaxis(pixels.reshape(height, width, channels), -1, 0)


def _chunks(content: bytes) -> Iterator[bytes]:
    """The chunks that say what the pixels are: texts, profiles and frames are left out unread."""
    if content[:8] + content[12:16] != _SIGNATURE + b"IHDR":
        raise ValueError("it does not begin as a PNG")
    start = len(_SIGNATURE)
    for _ in range(_CHUNKS):
        length, name = struct.unpack_from(">I4s", content, start)
        chunk = content[start : start + length + 12]
        if len(chunk) < length + 12:
            raise ValueError("it is cut short")
        if name in _CRITICAL:
            _require_whole(chunk, name)
            yield chunk
        if name == b"IEND":
            return
        start += len(chunk)
        if content[start + 4 : start + 8] == b"IHDR":
            raise ValueError("it has two headers")
    raise ValueError(f"it has more than {_CHUNKS:,} chunks")


def _require_whole(chunk: bytes, name: bytes) -> None:
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        raise ValueError(f"its chunk {name.decode()} is damaged")


def _in_bytes(picture: Image.Image) -> Image.Image:
    """16-bit greys scaled to 8 bits, which Pillow would clip; other pictures as they are."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def _require_size(path: Path, found: tuple[int, ...], expected: tuple[int, int]) -> None:
    if found != expected:
        raise DataError(
            f"{path} has the wrong size",
            why=f"the model's images are {expected[0]} × {expected[1]} pixels, "
            f"this one is {found[0]} × {found[1]}",
            fix="resize it first",
        )
