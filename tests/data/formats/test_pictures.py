"""Pictures of every mode, kind and turn are the arrays that Pillow reads."""

import io
from itertools import product
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from elboroom import DataConfig
from elboroom.data.formats.parallel import in_order
from elboroom.data.formats.picture_changes import Changes, changes
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import (
    Prepared,
    Recipe,
    kind_of,
    open_picture,
    upright_size,
    without_warnings,
)
from elboroom.errors import DataError, UsageError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (13, 17), dtype=np.uint8)
# Smooth, as photographs are: a JPEG of noise has no picture at half its size.
PHOTO = Image.fromarray(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((301, 199), 3)
KINDS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"]
TURNED = [5, 6, 7, 8]


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def applied(content: bytes, **options: Any) -> Prepared:
    with without_warnings(), open_picture(content) as picture:
        return Recipe.of(DataConfig(**options)).apply(picture)


def read_by_pillow(content: bytes, mode: str) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert(mode)


def channels_first(picture: Image.Image) -> np.ndarray:
    return np.moveaxis(np.atleast_3d(np.asarray(picture)), -1, 0)


def in_mode(mode: str) -> Image.Image:
    """Return the picture in a mode, with an alpha of its own where the mode has one."""
    if mode == "PA":
        return in_mode("LA").convert("PA")
    if mode.startswith("I"):
        return Image.fromarray(RGB[..., 0].astype(np.uint16) << 8 | ALPHA).convert(mode)
    picture = Image.fromarray(RGB).convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(Image.fromarray(ALPHA))
    return picture


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told_by_its_first_bytes_and_read_as_pillow_does(kind: str):
    content = saved(PHOTO, kind)
    assert kind_of(content[:32]) == kind
    found = applied(content)
    np.testing.assert_array_equal(found.values, channels_first(read_by_pillow(content, "RGB")))
    assert found == Prepared(found.values)
    assert applied(content, colour="grey").lost_colours


MODES = [
    *product(["JPEG"], ["L", "RGB", "CMYK"]),
    *product(["PNG"], ["1", "L", "P", "RGB"]),
    *product(["TIFF"], ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"]),
    *product(["BMP"], ["1", "L", "P", "RGB"]),
    *product(["GIF"], ["1", "L", "P", "RGB"]),
]


@pytest.mark.parametrize(("kind", "mode"), MODES)
def test_each_opaque_mode_is_converted_by_pillow(kind: str, mode: str):
    content = saved(in_mode(mode), kind)
    found = applied(content).values
    is_grey = mode in ("1", "L")
    expected = channels_first(read_by_pillow(content, "L" if is_grey else "RGB"))
    np.testing.assert_array_equal(found, expected)
    assert len(found) == (1 if is_grey else 3)
    np.testing.assert_array_equal(
        applied(content, colour="rgb").values, channels_first(read_by_pillow(content, "RGB"))
    )
    np.testing.assert_array_equal(
        applied(content, colour="grey").values,
        channels_first(read_by_pillow(content, "RGB").convert("L")),
    )


BEHIND = {"white": (255,), "black": (0,), "#808080": (128,), "#ff8000": (255, 128, 0)}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("background", BEHIND)
def test_alpha_is_blended_over_the_background(kind: str, mode: str, background: str):
    content, behind = saved(in_mode(mode), kind), BEHIND[background]
    found = applied(content, background=background)
    colours = channels_first(read_by_pillow(content, mode))[:-1].astype(float)
    alpha = ALPHA / 255
    blended = alpha * colours + (1 - alpha) * np.array(behind)[:, None, None]
    assert np.abs(found.values - blended).max() <= 0.51
    assert (found.blended, found.vanished) == (True, False)
    assert len(found.values) == max(len(colours), len(behind))


def test_alpha_of_palettes_and_of_single_colours_is_blended():
    see_through = in_mode("P")
    content = saved(see_through, "PNG", transparency=3)
    hidden = np.asarray(see_through) == 3
    expected = np.where(hidden, 255, channels_first(see_through.convert("RGB")))
    np.testing.assert_array_equal(applied(content).values, expected)
    content = saved(in_mode("L"), "PNG", transparency=int(np.asarray(in_mode("L"))[0, 0]))
    assert applied(content, background="black").values[0, 0, 0] == 0
    levels = np.array([[7, 40_000, 65_535]], np.uint16)
    found = applied(saved(Image.fromarray(levels), "PNG", transparency=7))
    assert (found.values.tolist(), found.highest) == ([[[255, 40_000 >> 8, 255]]], 65_535)
    assert found.blended


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_shape_in_the_transparency_alone_shows_on_another_background(mode: str):
    white = Image.new(mode, (17, 13), "white")
    white.putalpha(Image.fromarray(ALPHA))
    content = saved(white, "PNG")
    assert applied(content).vanished
    found = applied(content, background="black")
    assert not found.vanished
    np.testing.assert_array_equal(found.values, ALPHA[None])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_keep_the_upper_8(kind: str):
    levels = np.array([[0, 0x00FF, 0x8000, 0xFFFF]], np.uint16)
    found = applied(saved(Image.fromarray(levels), kind))
    assert (found.values.tolist(), found.highest) == ([[[0, 0, 128, 255]]], 0xFFFF)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (Image.new("F", (3, 3)), "mode F"),
        (Image.new("LAB", (3, 3)), "mode LAB"),
        (Image.fromarray(np.full((3, 3), 70_000, np.int32)), "32 bits"),
        (Image.fromarray(np.full((3, 3), -1, np.int32)), "32 bits"),
    ],
)
def test_a_mode_without_a_rule_is_refused(picture: Image.Image, why: str):
    with pytest.raises(ValueError, match=why):
        applied(saved(picture, "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [None, "40x30"])
def test_exif_turns_a_picture_upright(kind: str, turn: int, size: str | None):
    exif = Image.Exif()
    exif[0x0112] = turn
    content = saved(PHOTO, kind, exif=exif)
    found = applied(content, size=size).values
    upright = read_by_pillow(content, "RGB")
    assert upright.size == (PHOTO.size[::-1] if turn in TURNED else PHOTO.size)
    with open_picture(content) as picture:
        assert upright_size(picture) == upright.size
    if size is None:
        np.testing.assert_array_equal(found, channels_first(upright))
        return
    # Turning comes last, so that rounding to bytes between the two passes of a resize differs.
    difference = np.abs(found - channels_first(ImageOps.fit(upright, (40, 30))).astype(int))
    assert difference.mean() < (1.0 if kind == "JPEG" else 0.2)


@pytest.mark.parametrize("bad", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_damaged_exif_is_taken_as_upright(bad: bytes, kind: str):
    found, whole = applied(saved(PHOTO, kind, exif=bad)), applied(saved(PHOTO, kind))
    np.testing.assert_array_equal(found.values, whole.values)
    assert (found.damaged_exif, whole.damaged_exif) == (True, False)
    assert list(changes(found, "white")) == ["with damaged EXIF, taken as upright"]


@pytest.mark.parametrize(
    ("orientation", "damaged"), [(0, False), (1, False), (6, False), (99, True)]
)
def test_an_orientation_that_there_is_not_is_damage(orientation: int, damaged: bool):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert applied(saved(PHOTO, "JPEG", exif=exif)).damaged_exif == damaged


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ((301, 199), "64"),
        ((301, 199), "64x16"),
        ((199, 301), "9x40"),
        ((3, 2), "8"),
        ((1, 1), "5x4"),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_size_is_reached_as_pillow_would(source: tuple[int, int], wanted: str, kind: str):
    content = saved(PHOTO.resize(source), kind, **({"quality": 95} if kind == "JPEG" else {}))
    size = DataConfig(size=wanted).picture_size
    assert size is not None
    upright = read_by_pillow(content, "RGB")
    ways = {
        "centre": ImageOps.fit(upright, size),
        "none": upright.resize(size),
        "pad": ImageOps.pad(upright, size, color="#102030"),
    }
    for crop, expected in ways.items():
        found = applied(content, size=wanted, crop=crop, background="#102030").values
        assert found.shape == (3, size[1], size[0])
        difference = np.abs(found - channels_first(expected).astype(int))
        if kind == "PNG":
            assert difference.max() == 0, crop
        else:  # decoded at a smaller scale
            assert difference.mean() < 1, crop


def test_a_large_jpeg_is_decoded_at_a_smaller_scale():
    content = saved(PHOTO.resize((1024, 768)), "JPEG")
    with open_picture(content) as picture:
        Recipe.of(DataConfig(size="64")).prepare(picture)
        assert picture.size == (256, 192)  # at least twice the size at each side


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_padding_has_the_background_and_its_channels(mode: str):
    content = saved(in_mode(mode), "PNG")
    for background, grey in (("white", mode == "L"), ("#ff8000", False)):
        found = applied(content, size="20x4", crop="pad", background=background).values
        assert len(found) == (1 if grey else 3)
        assert found[:, 0, 0].tolist() == list(
            BEHIND[background] * (1 if grey or "#" in background else 3)
        )
    with open_picture(content) as picture:
        found = Recipe.of(DataConfig(size="20x4", crop="pad", colour="grey")).prepare(picture)
    assert found[0, 0, 0] == 255


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_read_and_others_are_told(kind: str):
    frames = [Image.fromarray(RGB[:, :, n]) for n in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    found = applied(content)
    np.testing.assert_array_equal(found.values[0], RGB[:, :, 0])
    assert found.more_frames
    assert not applied(saved(frames[0], kind, **options)).more_frames


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_is_cut_short_is_refused(kind: str):
    content = saved(PHOTO, kind)
    for part in (0, 5, 20, len(content) // 2, len(content) - 40):
        with pytest.raises(Exception, match=r"."):  # of any type
            applied(content[:part])


def test_what_is_no_picture_is_told_apart():
    for start in (
        b"",
        b"BM",
        b"BMW is a text of more than eighteen bytes",
        b"RIFF....WAVE",
        b"%!PS",
    ):
        assert kind_of(start) is None


def test_the_colour_of_the_background_must_be_known():
    with pytest.raises(UsageError, match="--background blurple"):
        Recipe.of(DataConfig(background="blurple"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"size": "0"}, "N or WxH"),
        ({"size": "64 x 64"}, "N or WxH"),
        ({"size": "64X64"}, "N or WxH"),
        ({"crop": "pad"}, "without --size"),
        ({"background": "rgb(1,2,3)"}, "#rrggbb"),
        ({"colour": "gray"}, "auto"),
        ({"broken": "ignore"}, "skip"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], why: str):
    with pytest.raises(UsageError) as error:
        DataConfig(**options)
    assert why in error.value.why


def test_rows_are_counted_by_what_was_changed():
    contents = {
        "a.jpg": saved(PHOTO, "PNG"),
        "b.png": saved(in_mode("RGBA"), "PNG"),
        "c.png": b"text",
        "d.dat": saved(PHOTO, "BMP"),
    }
    recipe, changes = Recipe.of(DataConfig()), Changes("x", "white")
    rows = [PictureRow.read(n, lambda c=c: c, recipe) for n, c in contents.items()]
    kept = [prepared is not None for prepared in changes.kept(rows, "skip")]
    assert (kept, changes.skipped) == ([True, True, False, True], 1)
    assert changes.notes() == [
        "1 picture of another kind than the name says: a.jpg (PNG)",
        "1 picture blended over white where not opaque: b.png",
        "1 picture left out, which cannot be read: c.png "
        "(it is no JPEG, PNG, WebP, TIFF, BMP or GIF)",
    ]
    with pytest.raises(DataError) as error:
        list(Changes("my", "white").kept(rows, "stop"))
    assert error.value.what == "cannot read the picture my/c.png"


def test_threads_keep_the_order_and_stop_at_an_error():
    assert list(in_order(str, range(1_000))) == [str(n) for n in range(1_000)]
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda n: 1 // n, range(3, -1_000, -1)))
