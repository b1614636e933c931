"""One picture of any kind: opened within limits, and made an array by a recipe."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import (
    GifImagePlugin,
    Image,
    ImageMode,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from elboroom.data.formats.picture_modes import colour_of, flatten, in_mode
from elboroom.untrusted import require_dense

if TYPE_CHECKING:  # a process that reads pictures starts faster without the options
    from elboroom.config import DataConfig
    from elboroom.config.kinds import Colour, Crop

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
}
"""Kinds of pictures that are read, with the endings of their names."""
_MOST_PIXELS = 89_478_485  # of a picture when it is decoded, 256 MiB of three bytes
_CHUNKS = 10_000  # of a PNG
_GAP = 2  # times the wanted size that a JPEG has at least after its decoding at a smaller scale
_FRAMES = (
    GifImagePlugin.GifImageFile,
    PngImagePlugin.PngImageFile,
    TiffImagePlugin.TiffImageFile,
    WebPImagePlugin.WebPImageFile,
)
_ORIENTATION = 0x0112  # tag of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that shows a picture upright, by its orientation in EXIF."""
_MOST_ORIENTATION = 8  # 0 is none, which some cameras write
_BYTE_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
_TURNED = (5, 6, 7, 8)  # orientations that exchange width and height


def kind_of(start: bytes) -> str | None:
    """Return the kind of a picture by its first 32 bytes, such as "JPEG"; None if it is none."""
    if start.startswith(b"BM") and len(start) >= 18:
        header = int.from_bytes(start[14:18], "little")
        return "BMP" if header in (12, 16, 40, 52, 56, 64, 108, 124) else None
    if start.startswith(b"RIFF"):
        return "WEBP" if start[8:12] == b"WEBP" else None
    return next((kind for begin, kind in _BEGINNINGS.items() if start.startswith(begin)), None)


_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}


def open_picture(content: bytes) -> Image.Image:
    """Open a JPEG, PNG, WebP, TIFF, BMP or GIF, told by its first bytes; decode no pixel.

    Call it, and use its result, within `without_warnings`.

    Raises:
        ValueError: if it is no such picture, or has too many pixels or chunks.
        Exception: if it is damaged; Pillow may raise an error of any type.
    """
    kind = kind_of(content[:32])
    if kind is None:
        raise ValueError("it is no JPEG, PNG, WebP, TIFF, BMP or GIF")
    if kind == "PNG":
        _require_few_chunks(content)
    picture = _open(content, kind)
    require_dense(len(content), _unpacked(picture))
    if kind == "PNG":
        _require_whole(picture)
        _open(content, kind).verify()  # all checksums, which decoding ignores
    return picture


def _open(content: bytes, kind: str) -> Image.Image:
    try:
        return Image.open(BytesIO(content), formats=[kind])
    except UnidentifiedImageError as error:  # its text has an address in memory
        raise ValueError(f"it begins as a {kind}, and its header is damaged") from error


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return width and height of a picture that is not decoded, as they are once it is upright."""
    if isinstance(picture, PngImagePlugin.PngImageFile) and "exif" not in picture.info:
        return picture.size  # it would be decoded to find EXIF at its end
    return _turned(picture.size, _orientation(picture))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence Pillow's warnings in this block, for all threads.

    They are of metadata that is not read, and of sizes that are checked here.
    """
    with warnings.catch_warnings(action="ignore"):
        yield


@dataclass(frozen=True)
class Prepared:
    """A picture as an event of the data, and what was done to make it one.

    Attributes:
        values: uint8, (1, H, W) or (3, H, W).
        highest: the largest value if the picture has 16 bits of grey, else None.
        blended: True if some pixels were not opaque.
        vanished: True if all pixels are alike only since they were blended.
        lost_colours: True if it has colours, which were made grey.
        more_frames: True if there are frames or pages after the first, which is read.
        damaged_exif: True if its EXIF cannot be read, so that it is taken as upright.
    """

    values: np.ndarray
    highest: int | None = None
    blended: bool = False
    vanished: bool = False
    lost_colours: bool = False
    more_frames: bool = False
    damaged_exif: bool = False


@dataclass(frozen=True)
class Recipe:
    """The way from a picture to an array.

    The first frame is turned upright by its EXIF, if that can be read. Colours become RGB by
    Pillow's formulas, without colour profiles; of 16 bits the upper 8 are kept. Pixels that are not
    opaque are blended over the background. Then the picture is cut or padded, and resized by
    bicubic interpolation, which averages where it shrinks. A JPEG is decoded at 1/2, 1/4 or 1/8 of
    its size if that is at least twice the wanted one, as by Pillow's `thumbnail`; the values differ
    by about one level of 255 on average, or less, from those of the whole picture.

    Attributes:
        size: width and height; None to keep them.
        crop: the way to another ratio of width and height.
        colour: grey gives one channel, rgb three; auto one if all pixels are grey.
        background: colour, as red, green and blue in 0…255.
    """

    size: tuple[int, int] | None
    crop: "Crop"
    colour: "Colour"
    background: tuple[int, int, int]

    @classmethod
    def of(cls, config: "DataConfig") -> "Recipe":
        """Return the recipe of the options of data.

        Raises:
            UsageError: if there is no such colour for the background, or if the size has more
                pixels than a picture that is decoded.
        """
        from elboroom.config.checks import require  # loads all options, which reading needs not

        pixels = math.prod(config.picture_size or ())
        few = f"of {_MOST_PIXELS:,} pixels at most, as pictures are when they are decoded"
        require(pixels <= _MOST_PIXELS, "size", config.size, few)
        return cls(config.picture_size, config.crop, config.colour, colour_of(config.background))

    def with_channels(self, channels: int) -> "Recipe":
        """Return the same recipe for pictures of one channel, or of three."""
        return replace(self, colour="grey" if channels == 1 else "rgb")

    def prepare(self, picture: Image.Image) -> np.ndarray:
        """Make an array of a picture that `open_picture` opened: uint8, (C, H, W).

        Raises:
            Exception: if it is damaged, or of a mode without a rule; an error of any type.
        """
        return self.apply(picture).values

    def apply(self, picture: Image.Image) -> Prepared:
        """Make an array of a picture, with what was done to it; see `prepare`."""
        more_frames = isinstance(picture, _FRAMES) and picture.is_animated
        if not isinstance(picture, JpegImagePlugin.JpegImageFile):
            _require_few_pixels(picture)
            picture.load()
        turn, damaged_exif = _orientation(picture), _has_damaged_exif(picture)
        size = None if self.size is None else _turned(self.size, turn)
        extent = _shrink(picture, size)
        flat = flatten(picture, self.background)
        coloured = self._in_colour(flat.picture)
        lost = self.colour == "grey" and flat.picture.mode == "RGB" and _has_colours(flat.picture)
        fitted = coloured if size is None else self._fit(coloured, extent, size)
        values = _as_event(fitted if turn not in _TURNS else fitted.transpose(_TURNS[turn]))
        if self.colour == "auto" and _is_grey(values):
            values = values[:1]
        changes = flat.highest, flat.blended, flat.vanished, lost, more_frames, damaged_exif
        return Prepared(values, *changes)

    def _in_colour(self, picture: Image.Image) -> Image.Image:
        """Return a picture in grey or in RGB as its channels and its surroundings ask for."""
        has_colours = self.crop == "pad" and len(set(self.background)) > 1
        if self.colour == "grey":
            return picture.convert("L")
        if self.colour == "rgb" or (self.size is not None and has_colours):
            return picture.convert("RGB")
        return picture

    def _fit(
        self, picture: Image.Image, extent: tuple[float, float], size: tuple[int, int]
    ) -> Image.Image:
        """Return a picture, of which `extent` is the width and height, at another size."""
        if self.crop == "pad":
            return self._pad(picture, extent, size)
        box = _centre(extent, size) if self.crop == "centre" else (0, 0, *extent)
        return picture.resize(size, Image.Resampling.BICUBIC, box)

    def _pad(
        self, picture: Image.Image, extent: tuple[float, float], size: tuple[int, int]
    ) -> Image.Image:
        scale = min(size[0] / extent[0], size[1] / extent[1])
        width, height = (max(1, round(scale * side)) for side in extent)
        padded = Image.new(picture.mode, size, in_mode(self.background, picture.mode))
        within = picture.resize((width, height), Image.Resampling.BICUBIC, (0, 0, *extent))
        padded.paste(within, (round((size[0] - width) / 2), round((size[1] - height) / 2)))
        return padded


def _has_colours(picture: Image.Image) -> bool:
    """Return True if some pixel of an RGB picture is not grey."""
    colours = np.asarray(picture)
    return bool((colours != colours[..., :1]).any())


def _as_event(picture: Image.Image) -> np.ndarray:
    """Return the pixels (H, W) or (H, W, C) as (C, H, W)."""
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _is_grey(values: np.ndarray) -> bool:
    """Return True if all channels (C, H, W) are equal; comparing bytes ends where they differ."""
    first = values[0].tobytes()
    return all(channel.tobytes() == first for channel in values[1:])


def _turned(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """Return width and height of a picture before it is turned upright, or after that."""
    return (size[1], size[0]) if turn in _TURNED else size


def _shrink(picture: Image.Image, size: tuple[int, int] | None) -> tuple[float, float]:
    """Let a JPEG be decoded at a smaller scale.

    Returns:
        Width and height of the picture in pixels of its scale, perhaps with a part of a pixel.
    """
    if not isinstance(picture, JpegImagePlugin.JpegImageFile):
        return picture.size
    drafted = None if size is None else picture.draft(None, (_GAP * size[0], _GAP * size[1]))
    _require_few_pixels(picture)
    return picture.size if drafted is None else drafted[1][2:]


def _require_few_pixels(picture: Image.Image) -> None:
    pixels = picture.width * picture.height
    if pixels > _MOST_PIXELS:
        raise ValueError(f"it has {pixels:,} pixels; at most {_MOST_PIXELS:,} are decoded")


def _centre(
    found: tuple[float, float], wanted: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return the largest box of the ratio of `wanted` in the centre: left, top, right, bottom."""
    scale = min(found[0] / wanted[0], found[1] / wanted[1])
    left, top = ((f - scale * w) / 2 for f, w in zip(found, wanted, strict=True))
    return left, top, found[0] - left, found[1] - top


def _orientation(picture: Image.Image) -> int:
    """Return the orientation by EXIF; 1, which is upright, if there is none or it is damaged.

    Pillow turns a TIFF itself when it is decoded.
    """
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return 1
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # damaged EXIF raises an error of any type
        return 1


def _has_damaged_exif(picture: Image.Image) -> bool:
    """Return True if EXIF is there and its orientation cannot be read.

    Of JPEG Pillow reads damaged EXIF as none, so that its header is looked at here.
    """
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return False
    try:
        orientation = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # damaged EXIF raises an error of any type
        return True
    block = bytes(picture.info.get("exif", b"")).removeprefix(b"Exif\0\0")
    return orientation not in range(_MOST_ORIENTATION + 1) or not _begins_as_exif(block)


def _begins_as_exif(block: bytes) -> bool:
    """Return True if a block of EXIF has a header and a first entry within it, or is empty."""
    order = _BYTE_ORDERS.get(block[:4])
    if order is None:
        return not block
    return int.from_bytes(block[4:8], order) + 2 <= len(block)


def _unpacked(picture: Image.Image) -> int:
    """Return the bytes of all pixels, of which eight take a byte in black and white."""
    return _bits(picture.mode) * picture.width * picture.height // 8


@cache
def _bits(mode: str) -> int:
    """Return the bits of a pixel of a mode of Pillow."""
    known = ImageMode.getmode(mode)
    return 1 if mode == "1" else 8 * len(known.bands) * np.dtype(known.typestr).itemsize


def _require_few_chunks(content: bytes) -> None:
    """Check the number of chunks of a PNG: Pillow spends seconds on some hundred thousand."""
    start = 8
    for _ in range(_CHUNKS):
        start += 12 + int.from_bytes(content[start : start + 4], "big")
        if start >= len(content) or content[start + 4 : start + 8] == b"IEND":
            return
    raise ValueError(f"it has more than {_CHUNKS:,} chunks")


def _require_whole(picture: Image.Image) -> None:
    """Check that pixels cover a whole PNG, and not a part, as a frame of an animation."""
    assert isinstance(picture, PngImagePlugin.PngImageFile)
    if [tile[1] for tile in picture.tile] != [(0, 0, *picture.size)]:
        raise ValueError("it has no pixels, or not for its whole size")
