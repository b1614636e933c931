import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from elboroom.data.formats.arrays import read_array
from elboroom.data.source import to_bytes_or_floats
from elboroom.errors import DataError

GREY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Path]:
    def save(**arrays: Any) -> Path:
        np.savez(tmp_path / "my.npz", **arrays)
        return tmp_path / "my.npz"

    return save


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrays")


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array, allow_pickle=array.dtype == object)
    return path


def refusal(path: Path) -> list[str]:
    """Return the what, why and fix with which `path` is refused."""
    with pytest.raises(DataError) as error:
        read_array(path)
    what, why, fix = str(error.value).split("\n")
    return [what, why.removeprefix("  why: "), fix.removeprefix("  fix: ")]


def test_an_npy_file_is_the_images(tmp_path: Path):
    source = read_array(saved(tmp_path / "my.npy", GREY))
    assert source.name == "my.npy"
    np.testing.assert_array_equal(source.train.images, GREY[:, None])
    assert (source.train.labels, source.test) == (None, None)


@pytest.mark.parametrize("name", ["x_train", "images", "x", "data", "arr_0"])
def test_the_images_of_an_npz_are_found_by_their_usual_names(npz: Callable[..., Path], name: str):
    source = read_array(npz(**{name: GREY, "other": np.zeros(3)}))
    np.testing.assert_array_equal(source.train.images, GREY[:, None])


def test_the_only_array_of_an_npz_is_the_images_whatever_its_name(npz: Callable[..., Path]):
    np.testing.assert_array_equal(read_array(npz(foo=GREY)).train.images, GREY[:, None])


@pytest.mark.parametrize("name", ["y_train", "labels", "y"])
def test_labels_are_found_by_their_usual_names(npz: Callable[..., Path], name: str):
    labels = read_array(npz(images=GREY, **{name: np.array([7, 9], np.uint8)})).train.labels
    assert labels is not None
    assert (labels.dtype, labels.tolist()) == (np.int64, [7, 9])


def test_an_npz_brings_its_own_test_part(npz: Callable[..., Path]):
    source = read_array(npz(x_train=GREY, y_train=[1, 2], x_test=GREY[:1], y_test=[3]))
    assert source.test is not None
    assert source.test.labels is not None
    np.testing.assert_array_equal(source.test.images, GREY[:1, None])
    assert source.test.labels.tolist() == [3]


@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 4), st.integers(1, 9)),
        st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
        st.tuples(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(4, 9), st.integers(1, 9)),
    )
)
@settings(max_examples=40, deadline=None)
def test_vectors_stay_and_images_get_their_channels_first(folder: Path, shape: tuple[int, ...]):
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    images = read_array(saved(folder / "s.npy", array)).train.images
    expected = (shape[0], 1, *shape[1:]) if len(shape) == 3 else shape
    np.testing.assert_array_equal(images, array.reshape(expected))


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_that_come_last_are_moved_first(tmp_path: Path, channels: int):
    last = np.random.default_rng(0).random((2, 5, 4, channels), dtype=np.float32)
    images = read_array(saved(tmp_path / "my.npy", last)).train.images
    np.testing.assert_array_equal(images, last.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("array", "kind", "white"),
    [
        (np.array([[0, 255]], np.uint8), np.uint8, 255.0),
        (np.array([[0, 2]], np.uint8), np.uint8, 255.0),
        (np.array([[0, 1]], np.uint8), np.uint8, 1.0),
        (np.array([[False, True]]), np.uint8, 1.0),
        (np.array([[0.0, 0.25]]), np.float32, 1.0),
        (np.array([[0, 1]], np.int64), np.float32, 1.0),
        (np.array([[0, 0.5]], np.float16), np.float32, 1.0),
    ],
)
def test_the_type_and_the_values_say_what_white_is(
    tmp_path: Path, array: np.ndarray, kind: type, white: float
):
    source = read_array(saved(tmp_path / "my.npy", array))
    assert (source.train.images.dtype, source.white) == (kind, white)
    np.testing.assert_array_equal(source.train.images, array)


OUT_OF_RANGE = (
    "divide by the largest possible value, save grey levels as uint8, or read real floats "
    "with --binarisation none and --likelihood gaussian"
)
EXPECTED = "; expected uint8 in 0…255, booleans, or numbers in [0, 1]"


@pytest.mark.parametrize(
    ("array", "found", "fix"),
    [
        (
            np.array([[np.nan, np.nan]]),
            "only NaN",
            "give some values that are not missing",
        ),
        (
            np.array([[0.5, np.nan, np.inf]]),
            "0.5 to inf of type float64",
            OUT_OF_RANGE,
        ),
        (
            np.array([[-1.0, 255.0]]),
            "-1 to 255 of type float64",
            OUT_OF_RANGE,
        ),
        (
            np.array([[0, 255]], np.int32),
            "0 to 255 of type int32",
            OUT_OF_RANGE,
        ),
        (np.array([["a", "b"]]), "type <U1", "save numbers"),
        (np.array([[1j, 0]]), "type complex128", "save numbers"),
    ],
)
def test_values_that_are_no_brightness_are_refused(
    tmp_path: Path, array: np.ndarray, found: str, fix: str
):
    path = saved(tmp_path / "my.npy", array)
    assert refusal(path) == [
        f"the values in {path} cannot be used",
        f"found {found}{EXPECTED}",
        fix,
    ]


def test_nan_stands_for_a_missing_pixel(npz: Callable[..., Path]):
    images, test = np.array([[0.25, np.nan], [1.0, 0.0]]), np.array([[1.0, 0.5]])
    source = read_array(npz(x_train=images, x_test=test))
    assert source.has_missing
    assert source.white == 1.0
    np.testing.assert_array_equal(source.train.images, images.astype(np.float32))
    assert not read_array(npz(x_train=test)).has_missing


def test_a_mask_says_which_pixels_are_known(npz: Callable[..., Path]):
    grey = np.array([[51, 255], [0, 102]], np.uint8)
    mask = np.array([[True, False], [True, True]])
    source = read_array(npz(x_train=grey, mask=mask, x_test=grey, mask_test=~mask))
    expected = np.array([[0.2, np.nan], [0.0, 0.4]], np.float32)
    np.testing.assert_allclose(source.train.images, expected)
    np.testing.assert_array_equal(np.isnan(source.test.images), mask)
    assert source.white == 1.0
    bits = read_array(npz(x_train=grey > 60, mask=mask))
    np.testing.assert_array_equal(bits.train.images, np.array([[0, np.nan], [0, 1]], np.float32))


@pytest.mark.parametrize(
    ("mask", "found"),
    [(np.ones((2, 2)), "float64 (2, 2)"), (np.ones((2, 3), bool), "bool (2, 3)")],
)
def test_a_mask_that_does_not_fit_is_refused(
    npz: Callable[..., Path], mask: np.ndarray, found: str
):
    path = npz(images=np.zeros((2, 2)), mask=mask)
    assert refusal(path) == [
        f"a mask in {path} does not fit its images",
        f"found {found}; expected booleans of shape (2, 2)",
        "save a mask shaped like the images, True where a pixel is known",
    ]


def test_bad_values_of_the_test_part_are_refused_too(npz: Callable[..., Path]):
    path = npz(x_train=np.zeros((2, 3)), x_test=np.full((1, 3), 2.0))
    assert refusal(path)[1] == f"found 0 to 2 of type float64{EXPECTED}"


@given(hnp.arrays(np.float64, (2, 3), elements=st.floats(width=64)))
@example(np.array([[np.nan, 0.0, 1.0], [0.5, np.nan, 0.0]]))
@settings(deadline=None)
def test_floats_are_accepted_exactly_if_those_that_are_known_lie_between_0_and_1(
    folder: Path, array: np.ndarray
):
    path = saved(folder / "v.npy", array)
    known = array[~np.isnan(array)]
    if known.size and ((known >= 0) & (known <= 1)).all():
        np.testing.assert_array_equal(read_array(path).train.images, array.astype(np.float32))
    else:
        assert refusal(path)[0] == f"the values in {path} cannot be used"


@pytest.mark.parametrize("shape", [(5,), (), (0, 4), (3, 0), (3, 4, 0)])
def test_an_array_that_is_no_stack_of_images_is_refused(tmp_path: Path, shape: tuple[int, ...]):
    path = saved(tmp_path / "my.npy", np.zeros(shape))
    assert refusal(path) == [
        f"{path} is not an array of images",
        f"found shape {shape}; expected (N, D), (N, H, W) or (N, C, H, W), not empty",
        "stack the images along a first axis",
    ]


def test_an_npz_without_a_known_name_is_refused(npz: Callable[..., Path]):
    path = npz(foo=GREY, bar=GREY)
    assert refusal(path) == [
        f"{path} has no images",
        "found bar, foo; expected one of x_train, images, x, data, arr_0",
        "rename the array of images to x_train",
    ]


def test_train_and_test_images_of_unlike_shape_are_refused(npz: Callable[..., Path]):
    path = npz(x_train=GREY, x_test=GREY[:, :2])
    assert refusal(path) == [
        f"the train and test images in {path} differ in shape",
        "train has (3, 4), test has (2, 4)",
        "save both with one shape",
    ]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (np.array([1, 2, 3]), "int64 of shape (3,)"),
        (np.array([0.5, 1.0]), "float64 of shape (2,)"),
        (np.array([[1], [2]]), "int64 of shape (2, 1)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    npz: Callable[..., Path], labels: np.ndarray, found: str
):
    path = npz(images=GREY, labels=labels)
    assert refusal(path) == [
        f"the labels in {path} do not fit its images",
        f"found {found}; expected 2 integers",
        "save one integer class for each image",
    ]


READERS = (
    "give `mnist`, or the path of one array of images, a .npy written by numpy.save; of images, "
    "and labels, masks or a test part, a .npz written by numpy.savez; of a folder of PNG pictures, "
    "or of one folder for each class, or of `train` and `test`"
)


def test_a_missing_file_is_refused(tmp_path: Path):
    path = tmp_path / "no.npz"
    why = f"[Errno 2] No such file or directory: '{path}'"
    assert refusal(path) == [f"cannot read {path} as data", why, READERS]


def test_a_folder_is_refused(tmp_path: Path):
    assert refusal(tmp_path)[1] == f"[Errno 21] Is a directory: '{tmp_path}'"


def test_an_empty_file_is_refused(tmp_path: Path):
    (tmp_path / "my.npy").touch()
    assert refusal(tmp_path / "my.npy")[1] == "the file is empty"


def test_a_pickle_is_never_loaded(tmp_path: Path):
    path = saved(tmp_path / "my.npy", np.array([[object()]]))
    assert refusal(path)[1] == "it holds Python objects; reading them would run their code"


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_a_damaged_file_is_refused_or_read_but_never_an_unknown_error(
    tmp_path: Path, save: Callable[..., None]
):
    path, dice = tmp_path / "my.npz", random.Random(0)
    with path.open("wb") as file:
        save(file, GREY)
    whole = path.read_bytes()
    for _ in range(300):
        torn = bytearray(whole[: dice.choice([len(whole), dice.randrange(len(whole))])])
        for _ in range(2 * bool(torn)):
            torn[dice.randrange(len(torn))] = dice.randrange(256)
        path.write_bytes(torn)
        try:
            read_array(path)
        except DataError:
            continue


def test_real_values_are_read_as_they_are_where_they_are_asked_for(tmp_path: Path):
    values = np.array([[-2.5, 700.0], [np.nan, 0.25]])
    source = read_array(saved(tmp_path / "my.npy", values), real=True)
    np.testing.assert_array_equal(source.train.images, values.astype(np.float32))
    assert source.white == 1
    for wrong in (np.array([[0.0, np.inf]]), np.array([[0, 1_000]])):
        with pytest.raises(DataError, match="cannot be used"):
            read_array(saved(tmp_path / "my.npy", wrong), real=True)


def test_real_values_beyond_what_single_precision_holds_are_refused(tmp_path: Path):
    largest = float(np.finfo(np.float32).max)
    source = read_array(saved(tmp_path / "my.npy", np.array([[-largest, largest]])), real=True)
    assert np.isfinite(source.train.images).all()
    for wrong in (1e39, -1e39):
        with pytest.raises(DataError, match="cannot be used"):
            read_array(saved(tmp_path / "my.npy", np.array([[0.0, wrong]])), real=True)


@pytest.mark.parametrize("memory", [0.0, 2.0])
def test_bytes_that_stand_for_true_are_1(tmp_path: Path, memory: float):
    path = saved(tmp_path / "my.npy", np.array([[False, True, True]]))
    path.write_bytes(path.read_bytes()[:-2] + b"\x02\xff")
    source = read_array(path, memory=memory)
    assert to_bytes_or_floats(source.train.images[:]).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_version_of_the_format_and_both_orders_are_read(
    tmp_path: Path, version: tuple[int, int], order: Any
):
    with (tmp_path / "my.npy").open("wb") as file:
        np.lib.format.write_array(file, np.asarray(GREY, order=order), version)
    np.testing.assert_array_equal(read_array(tmp_path / "my.npy").train.images, GREY[:, None])


@pytest.mark.parametrize(
    "header",
    [
        '{"shape":(2,3,4),"descr":"|u1","fortran_order":False}',
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L, 4L), }",  # Python 2
        "{ 'fortran_order' : False , 'shape' : ( 2 , 3 , 4 , ) , 'descr' : '<u1' , }\n",
    ],
)
def test_headers_as_others_write_them_are_read(tmp_path: Path, header: str):
    start = b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header.encode()
    (tmp_path / "my.npy").write_bytes(start + GREY.tobytes())
    np.testing.assert_array_equal(read_array(tmp_path / "my.npy").train.images, GREY[:, None])
