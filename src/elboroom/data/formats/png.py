"""One picture from a PNG file, as an event of the data."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from elboroom.errors import DataError
from elboroom.untrusted import open_file, read_bytes

_MODES = {1: "L", 3: "RGB"}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = 33  # bytes, with the signature
_VALUES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by the type of its colour
_DEPTHS = {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}  # bits of a value, by that type
_TRUE_DEPTHS = (8, 16)  # of the other types
_COLOURED = 2  # a bit of that type, which a palette has too
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_CHUNKS = 10_000
_ANCILLARY = 4 << 20  # bytes, of colour profiles and texts
_DEEPEST = 8  # bytes a pixel: four channels of 16 bits


@dataclass(frozen=True)
class PngHeader:
    """What a picture says of itself.

    Attributes:
        size: width and height in pixels, at least 1.
        channels: 1 of greys, 3 of colours and of a palette.
        held: bytes that its values take, each in whole bytes.
        packed: bytes of the file.
    """

    size: tuple[int, int]
    channels: int
    held: int
    packed: int


def read_header(path: Path) -> PngHeader:
    """Read the header of a picture, and nothing else of it.

    Raises:
        OSError, ValueError: it is no file that begins as a picture.
    """
    with open_file(path) as file:
        start, packed = file.read(_HEADER), os.fstat(file.fileno()).st_size
    _require_png(start)
    if len(start) < _HEADER:
        raise ValueError("it is cut short")
    width, height, depth, kind = struct.unpack(">IIBB", start[16:26])
    if 0 in (width, height):
        raise ValueError("it has no pixels")
    if kind not in _VALUES:
        raise ValueError(f"its colours are of type {kind}, which no PNG has")
    if depth not in _DEPTHS.get(kind, _TRUE_DEPTHS):
        raise ValueError(f"its values have {depth} bits, which no PNG of its type has")
    held = height * width * _VALUES[kind] * max(1, depth // 8)
    return PngHeader((width, height), 3 if kind & _COLOURED else 1, held, packed)


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
    with reading(path, fix="give the path of a PNG file"):
        return read_pixels(path, event_shape) / np.float32(255)


@contextmanager
def reading(path: Path | str, *, fix: str) -> Iterator[None]:
    """What is wrong with a picture that is read within is told.

    Raises:
        DataError: it cannot be read.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # a torn picture raises more than OSError, ValueError, SyntaxError
        what = f"cannot read the picture {path}"
        raise DataError(what, why=str(error) or "it is torn", fix=fix) from error


def read_pixels(path: Path, event_shape: tuple[int, ...]) -> np.ndarray:
    """Read a picture as uint8 of `event_shape`, which is (1, H, W) or (3, H, W).

    Raises:
        DataError: its size is another.
        Exception: it is no whole picture. If it is torn, that may be of any type.
    """
    channels, height, width = event_shape
    content = read_bytes(path, _ANCILLARY + 2 * _DEEPEST * width * height)
    chunks = list(_chunks(content))
    _require_size(path, struct.unpack(">II", chunks[0][8:16]), (width, height))
    with Image.open(BytesIO(_SIGNATURE + b"".join(chunks)), formats=["PNG"]) as picture:
        pixels = np.asarray(_in_bytes(picture).convert(_MODES[channels]))
    return np.moveaxis(pixels.reshape(height, width, channels), -1, 0)


def _chunks(content: bytes) -> Iterator[bytes]:
    """The chunks that say what the pixels are: texts, profiles and frames are left out unread."""
    _require_png(content)
    start = len(_SIGNATURE)
    for _ in range(_CHUNKS):
        length = int.from_bytes(content[start : start + 4], "big")
        chunk = content[start : start + length + 12]
        if len(chunk) < length + 12:
            raise ValueError("it is cut short")
        name = chunk[4:8]
        if name in _CRITICAL:
            _require_whole(chunk, name)
            yield chunk
        if name == b"IEND":
            return
        start += len(chunk)
        if content[start + 4 : start + 8] == b"IHDR":
            raise ValueError("it has two headers")
    raise ValueError(f"it has more than {_CHUNKS:,} chunks")


def _require_png(content: bytes) -> None:
    if content[:8] + content[12:16] != _SIGNATURE + b"IHDR":
        raise ValueError("it does not begin as a PNG")


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
