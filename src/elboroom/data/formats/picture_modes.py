"""The modes of pictures: each becomes opaque grey or RGB of 8 bits by a rule."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageColor

from elboroom.errors import UsageError


@dataclass(frozen=True)
class Flat:
    """An opaque picture in L or RGB; the other attributes are those of `Prepared`."""

    picture: Image.Image
    highest: int | None = None
    blended: bool = False
    vanished: bool = False


def flatten(picture: Image.Image, background: tuple[int, int, int]) -> Flat:
    """Return a picture of any mode in 8 bits, blended over the background."""
    if picture.mode in ("F", "LAB"):
        raise ValueError(f"its pixels are of mode {picture.mode}, which is not read")
    if picture.mode.startswith("I"):
        return _flatten_16_bits(picture, background)
    if not picture.has_transparency_data:
        mode = "L" if picture.mode in ("1", "L") else "RGB"
        return Flat(picture if picture.mode == mode else picture.convert(mode))
    is_grey = picture.mode in ("1", "L", "LA", "La")
    with_alpha = picture.convert("LA" if is_grey else "RGBA")
    colours, alpha = with_alpha.convert("L" if is_grey else "RGB"), with_alpha.getchannel("A")
    return _blend(colours, alpha, background)


def _flatten_16_bits(picture: Image.Image, background: tuple[int, int, int]) -> Flat:
    """Keep the upper 8 bits of 16, which Pillow would clip."""
    levels = np.asarray(picture)
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise ValueError("its pixels have 32 bits, whose white is not known")
    grey, highest = Image.fromarray((levels >> 8).astype(np.uint8)), int(levels.max())
    if "transparency" not in picture.info:
        return Flat(grey, highest)
    opaque = (levels != picture.info["transparency"]).astype(np.uint8) * 255
    return replace(_blend(grey, Image.fromarray(opaque), background), highest=highest)


def _blend(colours: Image.Image, alpha: Image.Image, background: tuple[int, int, int]) -> Flat:
    """Return α x + (1 − α) b for colours x over a background b, in grey if both are grey."""
    lowest, highest = alpha.getextrema()
    if lowest == 255:
        return Flat(colours)
    mode = "RGB" if len(set(background)) > 1 else colours.mode
    blended = Image.new(mode, colours.size, in_mode(background, mode))
    blended.paste(colours.convert(mode), mask=alpha)
    return Flat(blended, blended=True, vanished=lowest != highest and _is_plain(blended))


def _is_plain(picture: Image.Image) -> bool:
    """Return True if all pixels are alike."""
    bands = np.asarray(picture).reshape(picture.width * picture.height, -1)
    return bool((bands == bands[0]).all())


def colour_of(name: str) -> tuple[int, int, int]:
    """Return the red, green and blue of a colour.

    Raises:
        UsageError: if there is no such colour.
    """
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise UsageError(
            f"--background {name} cannot be used",
            why="it is no known colour",
            fix="give a name such as white or black, or #rrggbb",
        ) from error


def in_mode(colour: tuple[int, int, int], mode: str) -> int | tuple[int, int, int]:
    """Return a colour as a pixel of mode L or RGB."""
    return Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0)) if mode == "L" else colour  # type: ignore[return-value]
