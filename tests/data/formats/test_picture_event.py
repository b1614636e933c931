from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from elboroom import DataConfig
from elboroom.data.formats.picture_event import read_event
from elboroom.data.formats.pictures import Recipe
from elboroom.errors import DataError

SIDE = st.integers(1, 6)


def read(path: Path, event_shape: tuple[int, ...], **options: Any) -> np.ndarray:
    return read_event(path, Recipe.of(DataConfig(**options)), event_shape).values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@given(st.tuples(SIDE, SIDE).flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
@settings(deadline=None)
def test_a_grey_picture_is_read_as_its_levels(folder: Path, levels: np.ndarray):
    Image.fromarray(levels).save(folder / "x.png")
    pixels = read(folder / "x.png", (1, *levels.shape))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[0], levels)


@given(st.tuples(SIDE, SIDE, st.just(3)).flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
@settings(deadline=None)
def test_a_colour_picture_has_its_channels_first(folder: Path, levels: np.ndarray):
    Image.fromarray(levels).save(folder / "x.png")
    pixels = read(folder / "x.png", (3, *levels.shape[:2]))
    np.testing.assert_array_equal(pixels, levels.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA"])
def test_a_grey_picture_may_be_stored_in_another_mode(tmp_path: Path, mode: str):
    levels = np.array([[0, 255, 0]], np.uint8)
    Image.fromarray(levels).convert(mode).save(tmp_path / "x.png")
    assert read(tmp_path / "x.png", (1, 1, 3)).tolist() == [[[0, 255, 0]]]


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_greys_are_scaled_not_clipped(tmp_path: Path, channels: int):
    levels = np.array([[0x0000, 0x00FF, 0x8000, 0xFFFF]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    pixels = read(tmp_path / "x.png", (channels, 1, 4))
    np.testing.assert_array_equal(pixels, [[[0, 0, 128, 255]]] * channels)


def test_a_picture_of_another_size_is_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    Image.new("L", (5, 4)).save(path)
    with pytest.raises(DataError) as error:
        read(path, (1, 5, 4))
    assert str(error.value) == (
        f"{path} has the wrong size\n"
        "  why: found 5 × 4 pixels; expected 4 × 5, the size of the model's images\n"
        "  fix: resize it first; a model that was trained by --size takes pictures of any size"
    )
    assert read(path, (3, 7, 2), size="2x7").shape == (3, 7, 2)


@pytest.mark.parametrize("shape", [(784,), (2, 28, 28)])
def test_a_picture_cannot_be_an_event_that_is_no_image(tmp_path: Path, shape: tuple[int, ...]):
    with pytest.raises(DataError) as error:
        read(tmp_path / "x.png", shape)
    assert str(error.value) == (
        f"{tmp_path / 'x.png'} cannot be an event of shape {shape}\n"
        "  why: pictures have one (grey) or three (RGB) channels\n"
        "  fix: give the event as an array"
    )


def test_a_missing_picture_is_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    with pytest.raises(DataError) as error:
        read(path, (1, 4, 4))
    assert str(error.value) == (
        f"cannot read the picture {path}\n"
        f"  why: [Errno 2] No such file or directory: '{path}'\n"
        "  fix: give the path of a JPEG, PNG, WebP, TIFF, BMP or GIF"
    )


def test_a_damaged_picture_is_refused(tmp_path: Path):
    path = tmp_path / "x.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    whole = path.read_bytes()
    for kept in range(0, whole.index(b"IDAT") + 8, 3):
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match=r"^cannot read the picture"):
            read(path, (1, 8, 8))
