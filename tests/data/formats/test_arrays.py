import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from elboroom import DataConfig, load_data
from elboroom.data.formats import registry
from elboroom.data.formats.arrays import source_of
from elboroom.data.source import Source, to_bytes_or_floats
from elboroom.errors import DataError

GREY = 11 * np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
DIE = np.random.default_rng(0)


def read_array(path: Path, **options: Any) -> Source:
    return registry.read_array(path, DataConfig(**options))


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


def refusal(path: Path, **options: Any) -> list[str]:
    """Return the what, why and fix with which `path` is refused."""
    with pytest.raises(DataError) as error:
        read_array(path, **options)
    return [error.value.what, error.value.why, error.value.fix]


def refused(arrays: dict[str, Any], **options: Any) -> list[str]:
    """Return the what, why and fix with which arrays by name are refused."""
    with pytest.raises(DataError) as error:
        source_of("my.npz", arrays, DataConfig(**options))
    return [error.value.what, error.value.why, error.value.fix]


def test_an_npy_file_is_the_images(tmp_path: Path):
    source = read_array(saved(tmp_path / "my.npy", GREY))
    assert source.name == "my.npy"
    np.testing.assert_array_equal(source.train.images, GREY[:, None])
    assert (source.train.labels, source.test) == (None, None)


@pytest.mark.parametrize("name", ["x_train", "images", "x", "data", "arr_0"])
def test_the_images_of_an_npz_are_found_by_their_usual_names(npz: Callable[..., Path], name: str):
    source = read_array(npz(**{name: GREY, "other": np.zeros(3)}), unused=("other",))
    np.testing.assert_array_equal(source.train.images, GREY[:, None])


def test_the_only_array_of_an_npz_is_the_images_whatever_its_name(npz: Callable[..., Path]):
    np.testing.assert_array_equal(read_array(npz(foo=GREY)).train.images, GREY[:, None])


@pytest.mark.parametrize("name", ["y_train", "labels", "y"])
def test_labels_are_found_by_their_usual_names(npz: Callable[..., Path], name: str):
    labels = read_array(npz(images=GREY, **{name: np.array([7, 9], np.uint8)})).train.labels
    assert labels is not None
    assert (labels.dtype, labels.tolist()) == (np.int64, [0, 1])


def test_an_npz_brings_its_own_test_part(npz: Callable[..., Path]):
    source = read_array(npz(x_train=GREY, y_train=[1, 2], x_test=GREY[:1], y_test=[3]))
    assert source.test is not None
    assert source.test.labels is not None
    np.testing.assert_array_equal(source.test.images, GREY[:1, None])
    assert source.test.labels.tolist() == [2]
    assert source.classes == ("1", "2", "3")
    assert [part.origin for part in source.parts] == ["x_train", "x_test"]


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


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_that_come_last_are_moved_first(tmp_path: Path, channels: int):
    last = np.random.default_rng(0).random((2, 5, 6, channels), dtype=np.float32)
    images = read_array(saved(tmp_path / "my.npy", last)).train.images
    np.testing.assert_array_equal(images, last.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("array", "kind", "white"),
    [
        (np.array([[0, 255]], np.uint8), np.uint8, 255.0),
        (np.array([[0, 64]], np.uint8), np.uint8, 255.0),
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


FINITE = "; expected finite numbers, NaN where one is missing"


@pytest.mark.parametrize(
    ("array", "found", "fix"),
    [
        ([[np.nan, np.nan]], "only NaN in images", "give some values that are not missing"),
        ([[0.5, np.nan, np.inf]], "infinity in images", "write NaN where a value is missing"),
        ([[0.5, -np.inf]], "infinity in images", "write NaN where a value is missing"),
        (
            [[1e39, 1.0]],
            "1 to 1e+39 of type float64 in images, which float32 cannot hold",
            "divide by a power of ten, such as 1e30",
        ),
        ([["a", "b"]], "type <U1 in images", "save numbers"),
        (
            [[1j, 0]],
            "type complex128 in images",
            "save the real and the imaginary part side by side",
        ),
    ],
)
def test_values_that_are_no_numbers_are_refused(
    tmp_path: Path, array: list[Any], found: str, fix: str
):
    path = saved(tmp_path / "my.npy", np.array(array))
    expected = ["the values in my.npy cannot be used", f"found {found}{FINITE}", fix]
    assert refusal(path) == expected
    assert refusal(path, binarisation="threshold") == expected


TO_BE_BINARY = "; expected uint8 in 0…255, booleans, or numbers in [0, 1]"
LEAVE = "leave out --binarisation {}, so that they are read as real values"


@pytest.mark.parametrize("how", ["threshold", "dynamic", "static"])
@pytest.mark.parametrize(
    ("array", "found", "fix"),
    [
        (np.array([[0.0, 255.0]]), "0 to 255 of type float64", "divide by 255, or "),
        (
            np.array([[0, 9]], np.int32),
            "0 to 9 of type int32",
            "divide by the largest possible value, at least 9, or ",
        ),
        (
            np.array([[0, 999]], np.uint16),
            "0 to 999 of type uint16",
            "divide by the largest possible value, at least 999, or ",
        ),
        (np.array([[-1.0, 1.0]]), "-1 to 1 of type float64", ""),
    ],
)
def test_values_outside_0_and_1_are_not_made_binary(
    array: np.ndarray, found: str, fix: str, how: str
):
    assert refused({"x": array}, binarisation=how) == [
        f"the values in my.npz cannot be made binary by {how}",
        f"found {found} in x{TO_BE_BINARY}",
        fix + LEAVE.format(how),
    ]
    for kept in ("auto", "none"):
        read = source_of("my.npz", {"x": array}, DataConfig(binarisation=kept))
        assert (read.train.images.dtype, read.white) == (np.float32, 1.0)
        np.testing.assert_array_equal(read.train.images, array)


@pytest.mark.parametrize("kind", ["int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integers_of_other_widths_are_real_values(kind: str):
    counts = DIE.poisson(3, (9, 5)).astype(kind)
    for how in ("auto", "none"):
        source = source_of("my.npy", {"images": counts}, DataConfig(binarisation=how))
        assert (source.train.images.dtype, source.white) == (np.float32, 1.0)
        np.testing.assert_array_equal(source.train.images, counts)


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
    source = read_array(npz(x_train=grey, mask=mask, x_test=255 - grey, mask_test=~mask))
    expected = np.array([[0.2, np.nan], [0.0, 0.4]], np.float32)
    np.testing.assert_allclose(source.train.images, expected)
    np.testing.assert_array_equal(np.isnan(source.test.images), mask)
    assert source.white == 1.0
    bits = read_array(npz(x_train=grey > 60, mask=mask))
    np.testing.assert_array_equal(bits.train.images, np.array([[0, np.nan], [0, 1]], np.float32))


@pytest.mark.parametrize(
    ("mask", "found", "fix"),
    [
        (np.ones((2, 2)), "float64 (2, 2)", "mask.astype(bool)"),
        (np.ones((2, 3), bool), "bool (2, 3)", "a mask shaped like the images"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(
    npz: Callable[..., Path], mask: np.ndarray, found: str, fix: str
):
    path = npz(images=np.zeros((2, 2)), mask=mask)
    assert refusal(path) == [
        "mask in my.npz does not fit its images",
        f"found {found}; expected booleans of shape (2, 2)",
        f"save {fix}, True where a value is known",
    ]


def test_a_mask_that_leaves_nothing_is_refused():
    arrays = {"images": GREY, "mask": np.zeros(GREY.shape, bool)}
    assert refused(arrays) == [
        "mask in my.npz leaves no value",
        "found False everywhere; expected True where a value is known",
        "save ~mask if it is True where a value is missing",
    ]


@pytest.mark.parametrize("rubbish", [-999.0, np.inf, 1e300])
def test_values_under_a_mask_do_not_count(rubbish: float):
    x, mask = DIE.random((5, 4)), np.ones((5, 4), bool)
    mask[2, 1], expected = False, x.astype(np.float32)
    expected[2, 1] = np.nan
    arrays = {"x": np.where(mask, x, rubbish), "mask": mask}
    source = source_of("my.npz", arrays, DataConfig(binarisation="threshold"))
    np.testing.assert_array_equal(source.train.images, expected)


def test_bytes_under_a_mask_do_not_count():
    mask = np.ones(GREY.shape, bool)
    mask[1] = False  # the bytes from 132 on
    arrays = {"x": GREY // 4, "mask": mask}
    assert refused(arrays)[1] == (
        "found uint8 up to 30; expected grey levels up to 255, or 0 and 1"
    )


def test_bad_values_of_the_test_part_are_refused_too(npz: Callable[..., Path]):
    path = npz(x_train=np.zeros((2, 3)), x_test=np.full((1, 3), 2.0))
    assert refusal(path, binarisation="static")[1] == (
        f"found 0 to 0 of type float64 in x_train; 2 to 2 of type float64 in x_test{TO_BE_BINARY}"
    )


@given(hnp.arrays(np.float64, (2, 3), elements=st.floats(width=64)))
@example(np.array([[np.nan, 0.0, 1.0], [0.5, np.nan, 0.0]]))
@settings(deadline=None)
def test_floats_can_be_made_binary_exactly_if_those_that_are_known_lie_between_0_and_1(
    folder: Path, array: np.ndarray
):
    path = saved(folder / "v.npy", array)
    known = array[~np.isnan(array)]
    if known.size and ((known >= 0) & (known <= 1)).all():
        images = read_array(path, binarisation="threshold").train.images
        np.testing.assert_array_equal(images, array.astype(np.float32))
    else:
        assert refusal(path, binarisation="threshold")[0].startswith("the values in v.npy cannot")


EMPTY = "give at least two rows of at least one value"


@pytest.mark.parametrize(
    ("shape", "fix"),
    [
        ((5,), "give each number a row of its own by x[:, None], or all of them one by x[None]"),
        ((), "stack the images along a first axis"),
        ((0,), EMPTY),
        ((0, 4), EMPTY),
        ((3, 0), EMPTY),
        ((3, 4, 0), EMPTY),
        (
            (3, 2, 2, 2, 2),
            "make each event a vector by x.reshape(len(x), -1), or give images (C, H, W)",
        ),
    ],
)
def test_an_array_that_is_no_stack_of_images_is_refused(
    tmp_path: Path, shape: tuple[int, ...], fix: str
):
    path = saved(tmp_path / "my.npy", np.zeros(shape))
    assert refusal(path) == [
        "my.npy is not an array of images or rows",
        f"found shape {shape}; expected (N, D), (N, H, W) or (N, C, H, W), not empty",
        fix,
    ]


def test_an_npz_without_a_known_name_is_refused(npz: Callable[..., Path]):
    path = npz(foo=GREY, bar=GREY)
    assert refusal(path) == [
        "my.npz has no images",
        "found bar, foo; expected x_train, images, x or data",
        "rename the array of images or rows to x_train",
    ]


def test_parts_of_unlike_shape_are_refused(npz: Callable[..., Path]):
    path = npz(x_train=GREY, x_test=GREY[:, :2])
    assert refusal(path) == [
        "the parts of my.npz differ in shape",
        "x_train has (3, 4), x_test has (2, 4)",
        "save all of them with one shape",
    ]


READERS = (
    "give `mnist`, or the path of one array of images or rows, a .npy written by numpy.save; of "
    "tensors, a .pt written by torch.save; of images, labels and masks by name, a .npz written by "
    "numpy.savez; of numeric arrays by name, a .mat of MATLAB 5 to 7.2; of images as those of "
    "MNIST, an IDX file or a folder of them, packed by gzip or not; of a folder of PNG pictures, "
    "or of one folder for each class, or of `train`, `val` and `test`"
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
    assert refusal(path)[1:] == [
        "it holds Python objects; reading them would run their code",
        "save it as numbers, such as df.to_numpy(dtype='float32', na_value=numpy.nan), or as "
        "strings by .astype(str)",
    ]


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


@pytest.mark.parametrize("how", ["auto", "none"])
def test_real_values_are_read_as_they_are(tmp_path: Path, how: str):
    largest = float(np.finfo(np.float32).max)
    for values in ([[-2.5, 700.0], [np.nan, 0.25]], [[-largest, largest]]):
        source = read_array(saved(tmp_path / "my.npy", np.array(values)), binarisation=how)
        np.testing.assert_array_equal(source.train.images, np.float32(values))
        assert source.white == 1


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


# Names


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("x_train", "x_val", "x_test"),
        ("X", "X_val", "X_test"),
        ("train_images", "val_images", "test_images"),
        ("images", "valid_images", "images_test"),
        ("trainX", "validationX", "testX"),
        ("Train-Data", "Dev-Data", "Test-Data"),
        ("train", "valid", "test"),
        ("data", "xval", "xtest"),
    ],
)
def test_names_of_parts_are_known_in_any_case_and_order(train: str, validation: str, test: str):
    arrays = {test: GREY + 2, train: GREY, validation: GREY + 1}
    source = source_of("my.npz", arrays, DataConfig())
    assert source.validation is not None
    assert source.test is not None
    for number, part in enumerate((source.train, source.validation, source.test)):
        np.testing.assert_array_equal(part.images, GREY[:, None] + number)
    assert [part.origin for part in source.parts] == [train, validation, test]
    assert source.uses == (
        f"{test} as test images, {train} as images, {validation} as validation images"
    )


def test_arrays_of_a_table_are_read_as_rows():
    source = source_of("my.npz", {"X": GREY.reshape(len(GREY), -1)}, DataConfig())
    assert source.uses == ""
    arrays = {"X_test": GREY[:, 0], "X": GREY[:, 0], "y": np.arange(len(GREY))}
    assert source_of("my.npz", arrays, DataConfig()).uses == (
        "X_test as test rows, X as rows, y as labels"
    )


def test_labels_and_masks_find_their_part_by_any_name():
    mask = GREY > 50
    arrays = {"X_train": GREY, "X_val": GREY, "trainLabels": np.array([[5], [7]])}
    arrays |= {"val_target": np.array([7, 7]), "val_mask": mask}
    source = source_of("my.npz", arrays, DataConfig())
    assert source.classes == ("5", "7")
    assert [part.labels.tolist() for part in source.parts] == [[0, 1], [1, 1]]
    np.testing.assert_array_equal(np.isnan(source.parts[1].images), ~mask[:, None])
    assert not np.isnan(source.train.images).any()


USED = (
    "images is read as the images; known names are images, x or data; labels, y or target; mask; "
    "class_names; each alone or with train, val or test, such as x_val"
)


@pytest.mark.parametrize(
    "name", ["missing_mask", "masks", "mask_test", "y_val", "ids", "image_names", "classes", "X2"]
)
def test_an_array_that_would_not_be_used_is_refused_unless_it_is_named(name: str):
    arrays = {"images": GREY, name: np.ones((2, 3, 4), bool)}
    assert refused(arrays) == [
        f"my.npz has arrays that would not be used: {name}",
        USED,
        f"rename it, or leave it out with --unused {name}",
    ]
    source = source_of("my.npz", arrays, DataConfig(unused=(name,)))
    np.testing.assert_array_equal(source.train.images, GREY[:, None])
    assert source.notes == (f"left out {name}",)


def test_an_array_that_is_not_there_cannot_be_left_out():
    assert refused({"images": GREY}, unused=("labels",)) == [
        "my.npz has no array labels to leave unused",
        "found images",
        "name arrays of the file in --unused",
    ]


def test_two_arrays_of_one_role_are_refused():
    assert refused({"images": GREY, "X_train": GREY}) == [
        "my.npz has two arrays for the images of the train part",
        "found images and X_train",
        "name the one to leave out, such as --unused X_train",
    ]


@pytest.mark.parametrize(
    ("stem", "what"),
    [
        ("arr_", "my.npz has arrays that would not be used: arr_1"),
        ("img_", "my.npz has no images"),
        ("", "my.npz has no images"),
    ],
)
def test_a_list_of_images_is_refused_and_stacked_in_the_fix(tmp_path: Path, stem: str, what: str):
    arrays: dict[str, Any] = {f"{stem}{i}": image for i, image in enumerate(GREY)}
    np.savez(tmp_path / "my.npz", **arrays)
    found, _, fix = refusal(tmp_path / "my.npz")
    assert found == what
    assert fix == (
        "save a list of images as one array: numpy.savez(file, images=numpy.stack(images))"
    )


def test_arrays_of_unlike_shape_are_no_list(tmp_path: Path):
    np.savez(tmp_path / "my.npz", GREY, np.arange(2))
    assert refusal(tmp_path / "my.npz")[2] == "rename it, or leave it out with --unused arr_1"


def test_labels_without_images_are_refused():
    assert refused({"y_train": np.array([1, 2]), "spectra": GREY})[0] == "my.npz has no images"


def test_the_names_of_classes_are_those_that_labels_count():
    arrays = {"x": GREY, "y": np.array([2, 0]), "class_names": np.array(["cat", "dog", "eel"])}
    source = source_of("my.npz", arrays, DataConfig())
    assert source.classes == ("cat", "dog", "eel")
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [2, 0]
    arrays["y"] = np.array([3, 0])
    assert refused(arrays)[1] == "found 0 to 3; expected 0 to 2"


def test_labels_that_are_no_classes_are_left_out_and_said():
    arrays = {"x": GREY, "y": np.array([0.5, 2.0])}
    source = source_of("my.npz", arrays, DataConfig())
    assert (source.train.labels, source.classes) == (None, None)
    (note,) = source.notes
    assert note.startswith("the labels y are not classes, and are left out: found 0.5")


def test_labels_of_another_number_of_rows_are_refused():
    assert refused({"x": GREY, "y": np.arange(3)}) == [
        "the labels y do not fit the rows",
        "found int64 of shape (3,); expected 2 labels",
        "save one label for each row, or leave them out with --unused y",
    ]


def test_rows_that_are_the_last_axis_are_refused():
    x = DIE.integers(0, 256, (6, 6, 3, 9), dtype=np.uint8)
    assert refused({"X": x, "y": np.arange(9)[:, None]}) == [
        "the rows of my.npz are its last axis",
        "found shape (6, 6, 3, 9) and 9 labels; expected the rows first",
        "move the last axis to the front: numpy.moveaxis(x, -1, 0)",
    ]


# Scale


@pytest.mark.parametrize("highest", [2, 16, 63])
def test_dark_bytes_are_refused_unless_bytes_are_asked_for(highest: int):
    x = DIE.integers(0, highest + 1, (50, 8), dtype=np.uint8)
    assert refused({"x": x}) == [
        "the scale of my.npz is in doubt",
        f"found uint8 up to {highest}; expected grey levels up to 255, or 0 and 1",
        f"save counts or measurements as x.astype('float32'), grey levels up to {highest} as "
        f"(x / {highest}).astype('float32'); --binarisation none takes value / 255",
    ]
    for how in ("none", "dynamic"):
        assert source_of("my.npz", {"x": x}, DataConfig(binarisation=how)).white == 255
    for fixed in (x.astype("float32"), (x / highest).astype("float32")):
        assert source_of("my.npz", {"x": fixed}, DataConfig()).white == 1


@pytest.mark.parametrize("how", ["auto", "none", "threshold"])
def test_0_and_1_beside_0_and_255_are_refused(how: str):
    bits = DIE.integers(0, 2, (9, 8), dtype=np.uint8)
    for arrays in ({"x_train": bits, "x_test": 255 * bits}, {"x": 255 * bits, "x_val": bits > 0}):
        what, why, fix = refused(arrays, binarisation=how)
        assert (what, fix) == (
            "the parts of my.npz differ in scale",
            "save both with 255 for white",
        )
        assert "0 to 255 of type uint8" in why


def test_parts_in_0_to_1_and_in_0_to_255_are_refused_unless_reals_are_asked_for():
    x = DIE.random((9, 8))
    arrays = {"x_train": x, "x_test": 255 * x}
    what, why, _ = refused(arrays)
    assert what == "the parts of my.npz differ in scale"
    assert "of type float64 in x_train; " in why
    assert source_of("my.npz", arrays, DataConfig(binarisation="none")).test is not None
    arrays["x_test"] = 1.1 * x  # scaled by the extremes of the training part
    assert source_of("my.npz", arrays, DataConfig()).test is not None


UNIT = DIE.random((9, 4))


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("other", [UNIT, 9 * UNIT - 4, DIE.poisson(3, (9, 4)), UNIT.astype("f2")])
@pytest.mark.parametrize("bits", [UNIT > 0.5, (UNIT > 0.5).astype("u1"), UNIT > 1])
def test_booleans_and_bits_beside_other_numbers_are_refused(
    bits: np.ndarray, other: np.ndarray, order: int
):
    values = [bits, other][::order]
    what, why, _ = refused(dict(zip(("x_train", "x_test"), values, strict=True)))
    assert what == "the parts of my.npz differ in type"
    assert all(f"of type {array.dtype} in" in why for array in values)


@pytest.mark.parametrize("kind", ["?", "u1", "i8", "f4"])
def test_zeros_and_ones_are_of_one_kind_in_every_type(kind: str):
    bits = UNIT > 0.5
    arrays = {"x_train": bits, "x_test": bits.astype(kind)}
    assert source_of("my.npz", arrays, DataConfig()).white == 1
    arrays["mask_test"] = ~bits
    assert source_of("my.npz", arrays, DataConfig()).white == 1


@pytest.mark.parametrize("black", [GREY > 255, GREY > 3])
def test_booleans_beside_bytes_are_refused(black: np.ndarray):
    assert refused({"x": GREY, "x_val": black})[0] == "the parts of my.npz differ in scale"


@pytest.mark.parametrize("how", ["auto", "none", "threshold"])
@pytest.mark.parametrize("order", [1, -1])
def test_bytes_beside_floats_are_refused_with_both_types(how: str, order: int):
    values = [GREY, (GREY / 255).astype("float32")][::order]
    arrays = dict(zip(("x_train", "x_test"), values, strict=True))
    names = [f"{a.min():g} to {a.max():g} of type {a.dtype} in {n}" for n, a in arrays.items()]
    (of_bytes,) = (n for n, a in arrays.items() if a.dtype == np.uint8)
    assert refused(arrays, binarisation=how) == [
        "the parts of my.npz differ in type",
        f"found {names[0]}; {names[1]}",
        f"divide the bytes by 255: ({of_bytes} / 255).astype('float32')",
    ]
    arrays = {n: a if a.dtype == np.uint8 else a - 1 for n, a in arrays.items()}
    assert refused(arrays, binarisation=how)[2] == (
        "save all parts as uint8 in 0…255, or all as floats of one scale"
    )


@pytest.mark.parametrize(
    "column",
    [
        1.7e9 + np.linspace(-10, 10, 40),  # seconds since 1970
        (1.7e18 + 1e9 * np.arange(40)).astype(np.int64),  # nanoseconds
        2**30 + np.arange(40),  # identifiers
    ],
)
def test_a_spread_that_float32_loses_is_refused(column: np.ndarray):
    x = np.c_[DIE.random(40), column]
    what, why, fix = refused({"x": x})
    assert what == ("float32 cannot hold the differences within column 1 of x in my.npz")
    assert why.startswith(f"found {column.min():.12g} to {column.max():.12g}, which float32 rounds")
    assert fix == "subtract an offset before saving, such as x[:, column] -= x[:, column].min()"
    x[:, 1] -= x[:, 1].min()
    kept = source_of("my.npz", {"x": x}, DataConfig()).train.images
    np.testing.assert_allclose(kept, x, rtol=1e-6)


def test_values_below_what_float32_holds_are_refused():
    x = np.c_[DIE.random(40), 1e-50 * DIE.random(40)]
    what, _, fix = refused({"x": x})
    assert what == "float32 cannot hold the differences within column 1 of x in my.npz"
    assert fix == "multiply it by a power of ten, or set such small values to 0"


@pytest.mark.parametrize(
    "column",
    [
        np.full(40, 1.7e9 + 1),  # constant
        0.1 * 3 + 1e-17 * np.arange(40),  # constant but for rounding
        1013 + np.linspace(-1, 1, 40),  # 256 steps and more
        2.0**30 + 2.0**10 * np.arange(40),  # exact in float32
        np.where(np.arange(40) < 3, np.nan, 5.0),
    ],
)
def test_a_spread_that_float32_keeps_is_read(column: np.ndarray):
    x = np.c_[np.arange(40.0), column]
    source = source_of("my.npz", {"x": x}, DataConfig())
    np.testing.assert_array_equal(source.train.images, x.astype(np.float32))


# All equal


@pytest.mark.parametrize(
    ("array", "how", "why"),
    [
        (
            DIE.integers(0, 17, (300, 8), dtype=np.uint8),
            "threshold",
            "threshold makes it 0 everywhere: the largest value is 16 of 255",
        ),
        (
            0.5 * (DIE.random((60, 8)) > 0.5),
            "threshold",
            "threshold makes it 0 everywhere: the largest value is 0.5 of 1",
        ),
        (
            np.full((60, 8), 200, np.uint8),
            "threshold",
            "threshold makes it 1 everywhere: the largest value is 200 of 255",
        ),
        (np.full((60, 8), 7.25), "auto", "found 7.25 everywhere"),
        (np.zeros((60, 8), np.uint8), "auto", "found 0 everywhere"),
    ],
)
@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_values_that_come_out_equal_are_refused(
    tmp_path: Path, array: np.ndarray, how: Any, why: str, memory: float
):
    path = saved(tmp_path / "my.npy", array)
    with pytest.raises(DataError) as error:
        load_data(DataConfig(str(path), how, memory=memory))
    assert error.value.what == "all values of my.npy to train on are equal"
    assert error.value.why == why


def test_one_other_value_is_enough(tmp_path: Path):
    x = np.zeros((60, 8), np.uint8)
    x[:, 3] = 255
    assert load_data(DataConfig(str(saved(tmp_path / "my.npy", x)))).train.x.mean() == 1 / 8


@pytest.mark.parametrize("home", ["~", "~/below"])
def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "below").mkdir()
    path = saved(Path(home, "my.npy").expanduser(), GREY)
    config = DataConfig(f"{home}/my.npy")
    assert load_data(config).identity.source == "my.npy"
    assert config.with_absolute_path().source == str(path)


@pytest.mark.parametrize(
    ("shape", "noted"),
    [
        ((8, 8, 5), True),
        ((3, 3, 3), True),
        ((3, 8, 8), False),
        ((8, 8, 3), False),
        ((1, 8, 8), False),
        ((8, 8, 1), False),
        ((1, 1, 5), True),
        ((3, 1, 9), True),
        ((9, 2, 3), True),
        ((4, 4, 3), True),
        ((3, 9), True),
        ((9, 3), True),
        ((9, 8), False),
        ((1, 9), False),
    ],
)
def test_axes_in_doubt_are_noted(tmp_path: Path, shape: tuple[int, ...], noted: bool):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((20, *shape)))
    found = read_array(tmp_path / "x.npy").notes
    assert any(note.startswith("read as") for note in found) == noted


@pytest.mark.parametrize(
    ("images", "is_noted"),
    [
        (GREY.astype("f4"), True),
        (GREY.astype("i8"), True),
        (GREY[:, None].astype("f8"), True),
        (GREY, False),
        (GREY / 255, False),
        (GREY + 0.5, False),
        (GREY.astype("f4") - 1, False),
        (GREY.astype("u2") * 257, False),
        (GREY // 64.0, False),  # counts
        (GREY.reshape(2, 12).astype("f4"), False),
    ],
)
def test_grey_levels_that_are_not_bytes_are_noted(images: np.ndarray, is_noted: bool):
    notes = source_of("my.npy", {"x": images}, DataConfig()).notes
    assert any("save them as uint8" in note for note in notes) == is_noted


def test_rows_of_a_table_are_not_called_images():
    table = np.arange(12.0).reshape(3, 4)
    uses = source_of("my.npz", {"x": table, "x_val": table}, DataConfig()).uses
    assert uses == "x as rows, x_val as validation rows"


def test_the_fix_in_a_note_on_axes_gives_the_other_reading():
    signals = np.random.default_rng(0).random((7, 3, 9))
    for x in (signals[:, :, None], np.moveaxis(np.moveaxis(signals, 1, -1), -1, 1)[:, :, None]):
        read = source_of("my.npy", {"x": x}, DataConfig()).train.images
        np.testing.assert_array_equal(read, signals[:, :, None].astype("f4"))
    (note,) = source_of("my.npy", {"x": signals.swapaxes(1, 2)}, DataConfig()).notes
    assert note == (
        "read as 7 grey images of 9 × 3; give one colour picture as x[None], signals of 3 channels "
        "as numpy.moveaxis(x, -1, 1)[:, :, None]"
    )


@pytest.mark.parametrize(
    ("shape", "noted"),
    [((9, 9, 40), True), ((9, 9, 3, 40), True), ((9, 9, 9), False), ((9, 8, 40), False)],
)
def test_images_that_may_be_the_last_axis_are_noted(shape: tuple[int, ...], noted: bool):
    found = source_of("x.npy", {"x": np.random.default_rng(0).random(shape)}, DataConfig()).notes
    assert any("numpy.moveaxis(x, -1, 0)" in note for note in found) == noted
