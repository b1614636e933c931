"""One picture from a PNG file, as an event of the data."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageMode
from PIL.PngImagePlugin import PngImageFile

from elboroom.errors import DataError
from elboroom.untrusted import open_file, read_bytes

_MODES = {1: "L", 3: "RGB"}
_GREY = {"1", "L", "LA", "I", "I;16"}
_HEADER = 33  # bytes, with the signature
_END = b"\0\0\0\0IEND"  # the last chunk, at which Pillow stops to read
_CHUNKS = 10_000
_METADATA = 4 << 20  # bytes that texts and colour profiles may take in a file
_DEEPEST = 8  # bytes per pixel: four channels of 16 bits


@dataclass(frozen=True)
class PngHeader:
    """The header of a picture.

    Attributes:
        size: width and height in pixels, at least 1.
        channels: 1 for grey levels, 3 for colours and for a palette.
        unpacked: bytes of its values, each a whole number of bytes.
        packed: bytes of the file.
    """

    size: tuple[int, int]
    channels: int
    unpacked: int
    packed: int


def read_header(path: Path) -> PngHeader:
    """Read the header of a picture and nothing else.

    Raises:
        OSError, ValueError, SyntaxError: if the file does not begin like a PNG.
    """
    with open_file(path) as file:
        start, packed = file.read(_HEADER), os.fstat(file.fileno()).st_size
    with PngImageFile(BytesIO(start + _END)) as picture:
        mode, (width, height) = ImageMode.getmode(picture.mode), picture.size
    unpacked = height * width * len(mode.bands) * np.dtype(mode.typestr).itemsize
    return PngHeader((width, height), 1 if mode.mode in _GREY else 3, unpacked, packed)


@dataclass(frozen=True)
class Pixels:
    """The decoded pixels of a picture.

    Attributes:
        values: uint8, (1, H, W) or (3, H, W).
        highest: the largest value if the picture has 16 bits, else None.
        has_alpha: True if some pixels are not opaque.
        lost_colours: True if it has colours, which were made grey.
        repeated_grey: True if it has grey levels, which were given three channels.
    """

    values: np.ndarray
    highest: int | None
    has_alpha: bool
    lost_colours: bool
    repeated_grey: bool


def read_picture(path: Path, event_shape: tuple[int, ...]) -> np.ndarray:
    """Read a picture as `read_event` does, as float32 in [0, 1] of `event_shape` (C, H, W)."""
    return read_event(path, event_shape).values / np.float32(255)


def read_event(path: Path, event_shape: tuple[int, ...]) -> Pixels:
    """Read a picture as an event of the data.

    The size is checked before a pixel is decoded. An animation gives its still image. Transparency
    is dropped: a transparent pixel has the colour that it hides.

    Raises:
        DataError: if there is no such picture, or its size is not that of the model's images.
    """
    if len(event_shape) != 3 or event_shape[0] not in _MODES:
        raise DataError(
            f"{path} cannot be an event of shape {event_shape}",
            why="pictures have one (grey) or three (RGB) channels",
            fix="give the event as an array",
        )
    with picture_errors(path, fix="give the path of a PNG file"):
        return read_pixels(path, event_shape)


@contextmanager
def picture_errors(path: Path | str, *, fix: str) -> Iterator[None]:
    """Raise every error of reading a picture in this block as a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except SyntaxError as error:  # Pillow's error for a file that breaks the rules of PNG
        why = f"it is not a valid PNG ({error})"
        raise DataError(f"cannot read the picture {path}", why=why, fix=fix) from error
    except Exception as error:  # a damaged picture raises more than OSError and ValueError
        why = str(error) or "it is damaged"
        raise DataError(f"cannot read the picture {path}", why=why, fix=fix) from error


def read_pixels(path: Path, event_shape: tuple[int, ...]) -> Pixels:
    """Read a picture as uint8 of `event_shape`, which is (1, H, W) or (3, H, W).

    Raises:
        DataError: if its size is another, or its shape is in its transparency alone.
        Exception: if it is not a whole picture; a damaged one may raise an error of any type.
    """
    channels, height, width = event_shape
    content = read_bytes(path, _METADATA + 2 * _DEEPEST * width * height)
    _require_few_chunks(content)
    # Pillow warns about an invalid animation and about transparency, which are both dropped.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        with PngImageFile(BytesIO(content)) as picture:
            _require_size(path, picture.size, (width, height))
            _require_pixels(picture)
            picture.verify()  # all checksums, which decoding ignores
        with PngImageFile(BytesIO(content)) as picture:
            highest = int(np.asarray(picture).max()) if picture.mode.startswith("I") else None
            has_alpha, is_grey = _is_transparent(path, picture), picture.mode in _GREY
            lost_colours = channels == 1 and not is_grey and _has_colours(picture)
            pixels = np.asarray(_to_8_bits(picture).convert(_MODES[channels]))
    values = np.moveaxis(pixels.reshape(height, width, channels), -1, 0)
    return Pixels(values, highest, has_alpha, lost_colours, is_grey and channels == 3)


def _has_colours(picture: Image.Image) -> bool:
    """Return True if some pixel is not grey."""
    colours = np.asarray(picture.convert("RGB"))
    return bool((colours != colours[..., :1]).any())


def _is_transparent(path: Path, picture: Image.Image) -> bool:
    """Return whether some pixels are not opaque, after checking that the others show something."""
    if picture.mode.startswith("I") or not picture.has_transparency_data:
        return False
    colours = np.asarray(picture.convert("RGBA")).reshape(-1, 4)
    colour, alpha = colours[:, :3], colours[:, 3]
    if (colour == colour[0]).all() and (alpha != alpha[0]).any():
        raise DataError(
            f"{path} has its shape in its transparency alone",
            why=f"all pixels have the colour {tuple(colour[0].tolist())}, and unlike opacity",
            fix="blend the pictures with a background, such as Image.alpha_composite("
            "Image.new('RGBA', picture.size, 'white'), picture.convert('RGBA')).convert('RGB')",
        )
    return bool((alpha < 255).any())


def _require_few_chunks(content: bytes) -> None:
    """Check the number of chunks: Pillow spends seconds on some hundred thousand."""
    start = 8
    for _ in range(_CHUNKS):
        start += 12 + int.from_bytes(content[start : start + 4], "big")
        if start >= len(content) or content[start + 4 : start + 8] == b"IEND":
            return
    raise ValueError(f"it has more than {_CHUNKS:,} chunks")


def _require_pixels(picture: PngImageFile) -> None:
    """Check that the pixels cover the whole picture, and not a part, as a frame of an animation."""
    if [tile[1] for tile in picture.tile] != [(0, 0, *picture.size)]:
        raise ValueError("it has no pixels, or not for its whole size")


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Scale 16-bit grey levels to 8 bits, which Pillow would clip; return others as they are."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def _require_size(path: Path, found: tuple[int, ...], expected: tuple[int, int]) -> None:
    if found != expected:
        raise DataError(
            f"{path} has the wrong size",
            why=f"found {found[0]} × {found[1]} pixels; "
            f"expected {expected[0]} × {expected[1]}, the size of the model's images",
            fix="resize it first",
        )
