from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from elboroom.data.masks import Half, half_mask, load_mask
from elboroom.errors import DataError

HALVES: list[Half] = ["top", "bottom", "left", "right"]
SIDE = st.integers(1, 9)
SHAPE = st.tuples(st.sampled_from([1, 3]), SIDE, SIDE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masks")


@pytest.mark.parametrize(
    ("half", "seen"),
    [
        ("top", [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ("bottom", [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]),
        ("left", [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]),
        ("right", [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]),
    ],
)
def test_a_half_is_seen_and_an_odd_middle_is_not(half: Half, seen: list[list[int]]):
    assert torch.equal(half_mask(half, (1, 3, 4)), torch.tensor([seen], dtype=torch.bool))


@given(SHAPE, st.sampled_from(HALVES))
def test_a_half_mask_is_boolean_and_shaped_like_the_event(shape: tuple[int, int, int], half: Half):
    mask = half_mask(half, shape)
    assert (mask.dtype, tuple(mask.shape)) == (torch.bool, shape)


@given(SHAPE, st.sampled_from([("top", "bottom"), ("left", "right")]))
def test_opposite_halves_mirror_each_other_and_share_no_pixel(
    shape: tuple[int, int, int], pair: tuple[Half, Half]
):
    first, second = (half_mask(half, shape) for half in pair)
    assert torch.equal(first.flip(-2 if pair[0] == "top" else -1), second)
    assert not (first & second).any()


@given(SHAPE)
def test_half_of_the_rows_or_columns_is_seen(shape: tuple[int, int, int]):
    channels, height, width = shape
    assert int(half_mask("top", shape).sum()) == channels * (height // 2) * width
    assert int(half_mask("left", shape).sum()) == channels * height * (width // 2)


@pytest.mark.parametrize("shape", [(784,), (28, 28)])
def test_halves_of_what_is_no_image_are_refused(shape: tuple[int, ...]):
    with pytest.raises(DataError) as error:
        half_mask("left", shape)
    assert str(error.value) == (
        f"the left half of an event of shape {shape} is not defined\n"
        "  why: halves are of images (C, H, W)\n"
        "  fix: give the mask as a boolean .npy array of the event's shape"
    )


@given(SHAPE.flatmap(lambda shape: hnp.arrays(bool, shape)))
@settings(deadline=None)
def test_a_boolean_npy_is_the_mask(folder: Path, array: np.ndarray):
    np.save(folder / "m.npy", array)
    mask = load_mask(str(folder / "m.npy"), array.shape)
    np.testing.assert_array_equal(mask.numpy(), array)


@given(SHAPE.flatmap(lambda shape: hnp.arrays(bool, shape[1:])))
@settings(deadline=None)
def test_a_mask_without_channels_is_that_of_every_channel(folder: Path, array: np.ndarray):
    np.save(folder / "m.npy", array)
    mask = load_mask(str(folder / "m.npy"), (3, *array.shape))
    np.testing.assert_array_equal(mask.numpy(), np.stack([array] * 3))


def test_the_name_of_a_half_is_its_mask():
    assert torch.equal(load_mask("right", (1, 4, 4)), half_mask("right", (1, 4, 4)))


@pytest.mark.parametrize("name", ["m.png", "m.PNG", "m", "m.npy"])
def test_white_pixels_of_a_picture_of_any_name_are_seen(tmp_path: Path, name: str):
    Image.fromarray(np.array([[0, 0, 255, 255]], np.uint8)).save(tmp_path / name, "PNG")
    mask = load_mask(str(tmp_path / name), (1, 1, 4))
    assert mask.tolist() == [[[False, False, True, True]]]


@pytest.mark.parametrize("level", [1, 127, 128, 254])
def test_a_picture_of_grey_levels_is_no_mask(tmp_path: Path, level: int):
    Image.fromarray(np.array([[0, level, 255]], np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=f"found 1 levels in between, such as {level} of 255"):
        load_mask(str(tmp_path / "m.png"), (1, 1, 3))


@pytest.mark.parametrize(
    "array",
    [
        np.ones((28, 28)),
        np.ones((1, 27, 28), bool),
        np.ones((2, 28, 28), bool),
        np.ones((1, 1, 28, 28), bool),
        np.ones((784,), bool),
        np.array(True),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_an_array_that_is_no_mask_of_the_data_is_refused(tmp_path: Path, array: np.ndarray):
    path = tmp_path / "m.npy"
    np.save(path, array)
    with pytest.raises(DataError) as error:
        load_mask(str(path), (1, 28, 28))
    assert str(error.value) == (
        f"{path} is not a mask of this data\n"
        f"  why: found {array.dtype} {array.shape}; expected booleans of shape (1, 28, 28)\n"
        "  fix: save a boolean array of shape (1, 28, 28), True where a value is observed"
    )


def test_a_word_that_is_neither_half_nor_file_is_refused():
    with pytest.raises(DataError) as error:
        load_mask("tpo", (1, 28, 28))
    assert str(error.value) == (
        "cannot read the mask tpo\n"
        "  why: [Errno 2] No such file or directory: 'tpo'\n"
        "  fix: give top, bottom, left, right, a boolean .npy file, or a .png"
    )


def test_an_npz_or_a_damaged_npy_is_refused(tmp_path: Path):
    np.savez(tmp_path / "m.npz", np.ones((1, 4, 4), bool))
    np.save(tmp_path / "m.npy", np.ones((1, 4, 4), bool))
    whole = (tmp_path / "m.npy").read_bytes()
    for cut in range(1, len(whole), 7):
        (tmp_path / "m.npy").write_bytes(whole[:-cut])
        with pytest.raises(DataError, match=r"^cannot read the mask"):
            load_mask(str(tmp_path / "m.npy"), (1, 4, 4))
    with pytest.raises(DataError, match=r"^cannot read the mask"):
        load_mask(str(tmp_path / "m.npz"), (1, 4, 4))


def test_a_half_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match="found 'middle'; expected one of top, bottom, left, right"):
        half_mask("middle", (1, 4, 4))  # type: ignore[arg-type]
