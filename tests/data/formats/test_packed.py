"""A packed array is read with the parts, classes and names of the file beside it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from elboroom import DataConfig, load_data
from elboroom.data.formats.packed import as_packed
from elboroom.data.formats.packed_rows import PackedRows, rows_file
from elboroom.data.formats.registry import read_data
from elboroom.errors import DataError, UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 3, 4, 5), dtype=np.uint8)
FILES = tuple(f"{name}/{number}.jpg" for name in ("cat", "ß", "犬") for number in range(4))
ROWS = PackedRows(
    parts={"train": 6, "validation": 2, "test": 4},
    files=FILES,
    labels=np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 1, 0, 2]),
    classes=("cat", "ß", "犬"),
    recipe="{}",
    sha256=hashlib.sha256(IMAGES.tobytes()).hexdigest(),
)


def saved(folder: Path, stored: np.ndarray = IMAGES, **arrays: Any) -> Path:
    """A packed array whose rows have some other arrays; None leaves one out."""
    np.save(folder / "my.npy", stored)
    arrays = ROWS.arrays() | arrays
    with ZipFile(folder / "my.rows.npz", "w") as archive:
        for name in [name for name, array in arrays.items() if array is not None]:
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(arrays[name]), allow_pickle=True)
    return folder / "my.npy"


@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_parts_classes_and_names_are_those_of_the_rows(tmp_path: Path, memory: float):
    source = read_data(saved(tmp_path), DataConfig(memory=memory))
    assert source.classes == ROWS.classes
    assert source.mapped == (memory == 0)
    assert source.uses == "my.npy as images, my.rows.npz as their parts, classes, files"
    assert [part.origin for part in source.parts] == ["train", "validation", "test"]
    for part, place in zip(source.parts, (slice(6), slice(6, 8), slice(8, 12)), strict=True):
        np.testing.assert_array_equal(part.images, IMAGES[place])
        np.testing.assert_array_equal(part.labels, ROWS.labels[place])
        assert part.files == FILES[place]
        assert isinstance(part.images, np.memmap) == (memory == 0)


@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_they_are_the_data_of_a_training(tmp_path: Path, memory: float):
    data = load_data(DataConfig(str(saved(tmp_path)), memory=memory))
    assert {name: len(part) for name, part in data.parts.items()} == dict(ROWS.parts)
    assert data.test.files == FILES[8:]
    assert data.train.classes == ROWS.classes
    assert data.identity.sha256 == ROWS.sha256
    assert data.train.on_disk == (memory == 0)
    np.testing.assert_array_equal(data.test.x, IMAGES[8:] / np.float32(255))


def test_one_part_is_split_as_any_array(tmp_path: Path):
    one = ["train"] * 12
    plain = tmp_path / "plain.npy"
    np.save(plain, IMAGES)
    data = load_data(DataConfig(str(saved(tmp_path, part=one, label=None, class_names=None))))
    expected = load_data(DataConfig(str(plain)))
    assert data.test.origin == ""
    assert data.reading is not None
    assert data.reading.uses == "my.npy as images, my.rows.npz as their files"
    assert data.train.labels is None
    np.testing.assert_array_equal(data.test.numbers, expected.test.numbers)
    np.testing.assert_array_equal(data.test.x, expected.test.x)
    assert data.identity.sha256 == expected.identity.sha256


def test_a_part_may_have_no_classes(tmp_path: Path):
    labels = np.where(np.arange(12) < 8, ROWS.labels, -1)
    source = read_data(saved(tmp_path, label=labels), DataConfig())
    assert source.validation is not None
    assert source.test is not None
    np.testing.assert_array_equal(source.train.labels, ROWS.labels[:6])
    assert source.test.labels is None


def test_dark_pictures_are_divided_by_255_as_those_of_a_folder(tmp_path: Path):
    dark = IMAGES % 2
    digest = hashlib.sha256(dark.tobytes()).hexdigest()
    path = saved(tmp_path, dark, sha256=digest)
    with pytest.raises(DataError, match=r"the scale of the pictures in my\.npy is in doubt"):
        read_data(path, DataConfig())
    assert read_data(path, DataConfig(binarisation="none")).white == 255


def test_its_arrays_are_plain_and_read_by_numpy(tmp_path: Path):
    saved(tmp_path)
    with np.load(tmp_path / "my.rows.npz", allow_pickle=False) as rows:
        assert rows["file"].tolist() == list(FILES)
        assert rows["part"].tolist() == ["train"] * 6 + ["validation"] * 2 + ["test"] * 4
        assert rows["class_names"][rows["label"]].tolist()[:3] == ["cat", "ß", "犬"]


def test_the_names_of_both_files_go_together():
    assert rows_file(Path("a/photos.64.npy")) == Path("a/photos.64.rows.npz")


def refused(path: Path, why: str) -> None:
    expected = rf"my\.rows\.npz does not hold the rows of my\.npy\n  why: {why}.*\n  fix: pack the"
    with pytest.raises(DataError, match=expected):
        read_data(path, DataConfig())


@pytest.mark.parametrize(
    ("why", "arrays"),
    [
        ("its array part is <U10 of shape (11,)", {"part": ["validation"] * 11}),
        ("its rows are of train, val; expected train", {"part": ["train"] * 8 + ["val"] * 4}),
        ("its rows are of test, train; expected train", {"part": ["test"] * 8 + ["train"] * 4}),
        ("its rows are of test; expected train", {"part": ["test"] * 12}),
        ("its array file is int64", {"file": np.arange(12)}),
        ("its array label is int64 of shape (3,)", {"label": np.arange(3)}),
        ("its array label is float64", {"label": np.zeros(12)}),
        ("its labels are 0 to 3; it has 3 classes", {"label": np.arange(12) % 4}),
        ("its labels are -2 to 9; it has 3 classes", {"label": np.arange(12) - 2}),
        ("some rows of a part have a label", {"label": np.arange(12) % 4 - 1}),
        ("two of its classes have the same name", {"class_names": ["a", "a", "b"]}),
        ("its array class_names is <U1 of shape (1, 3)", {"class_names": [["a", "b", "c"]]}),
        ("it has the arrays class_names, file, part, recipe, sha256; exp", {"label": None}),
        ("it has the arrays class_names, file, label, part, sha256; exp", {"recipe": None}),
        ("it has the arrays class_names, file, images, label, part", {"images": IMAGES}),
        ("its array recipe is <U2 of shape (1,)", {"recipe": ["{}"]}),
        ("it is too large for 12 rows", {"file": np.full(12, 400_000 * "x")}),
        ("of its array file: it holds Python objects", {"file": np.array(FILES, object)}),
    ],
)
def test_rows_that_are_not_those_of_the_array_are_refused(tmp_path: Path, why: str, arrays: Any):
    refused(saved(tmp_path, **arrays), re.escape(why))


def test_another_array_of_the_same_shape_is_refused(tmp_path: Path):
    path = saved(tmp_path)
    np.save(path, IMAGES[::-1])
    refused(path, "the SHA-256 of the values of my.npy begins [0-9a-f]{16}; that of the array")


@pytest.mark.parametrize("images", [IMAGES[:11], IMAGES[:, 0], IMAGES.astype(np.int16)])
def test_an_array_of_another_shape_or_type_is_refused(tmp_path: Path, images: np.ndarray):
    refused(saved(tmp_path, images), "")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes):
    path = saved(tmp_path)
    rows_file(path).write_bytes(content)
    refused(path, "")


def test_without_its_rows_it_is_any_array(tmp_path: Path):
    path = saved(tmp_path)
    rows_file(path).unlink()
    source = read_data(path, DataConfig())
    assert source.classes is None
    np.testing.assert_array_equal(source.train.images, IMAGES)


def test_it_has_no_array_to_leave_unused(tmp_path: Path):
    with pytest.raises(DataError, match=r"my\.npy has no array label to leave unused"):
        read_data(saved(tmp_path), DataConfig(unused=("label",)))


@pytest.mark.parametrize("recipe", ["", "[]", "{}", '{"size": "8"}', "[" * 10_000])
def test_a_recipe_that_is_none_is_refused_where_it_is_needed(tmp_path: Path, recipe: str):
    path = saved(tmp_path, recipe=recipe)
    assert read_data(path, DataConfig()).classes == ROWS.classes
    with pytest.raises(DataError, match=r"my\.rows\.npz does not hold the rows of my\.npy"):
        as_packed(DataConfig(str(path)))


@pytest.mark.parametrize("option", [{"size": "0"}, {"crop": "all"}, {"colour": 3}])
def test_a_recipe_of_options_that_there_are_not_is_refused(tmp_path: Path, option: dict[str, Any]):
    recipe = {"size": "8", "crop": "pad", "colour": "grey", "background": "black"} | option
    path = saved(tmp_path, recipe=json.dumps(recipe))
    with pytest.raises(UsageError, match=f"{next(iter(option))}"):
        as_packed(DataConfig(str(path)))


def test_a_name_that_is_too_long_is_refused_before_it_is_written():
    files = (*FILES[:11], 1_001 * "x")
    rows = PackedRows(ROWS.parts, files, ROWS.labels, ROWS.classes, "{}", ROWS.sha256)
    with pytest.raises(DataError, match="found 1,001 characters; at most 1,000 are kept"):
        rows.arrays()
