"""A folder of pictures is the array of them."""

import os
import shutil
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from elboroom import DataConfig, Dataset, load_data
from elboroom.config import BinarisationName
from elboroom.data.formats import folder, picture_files
from elboroom.data.formats.picture_event import read_event
from elboroom.data.formats.pictures import Recipe
from elboroom.data.load import load_new
from elboroom.data.source import Source
from elboroom.errors import DataError, UsageError
from tests.support.command import Command
from tests.support.outcomes import error, last_checkpoint, metrics

GREY = np.random.default_rng(0).integers(0, 256, (60, 8, 6), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (8, 6, 3), dtype=np.uint8)
MODES = {"1": 1, "L": 1, "LA": 1, "I;16": 1, "P": 3, "RGB": 3, "RGBA": 3}
LAYOUT = (
    "put pictures in it, or one folder of them for each class; parts are folders `train`, `val` "
    "and `test`, of which only `train` is needed beside another"
)


def read_folder(path: Path, **options: Any) -> Source:
    return folder.read_folder(path, DataConfig(**options))


def save(path: Path, *names: str, images: np.ndarray = GREY) -> Path:
    """Save an image for each name, in that order."""
    for name, image in zip(names, images, strict=False):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path / name, "PNG")
    return path


def refusal(path: Path, **options: Any) -> list[str]:
    """Return the what, why and fix with which `path` is refused."""
    with pytest.raises(DataError) as error:
        read_folder(path, **options)
    return [error.value.what, error.value.why, error.value.fix]


def wide(image: np.ndarray) -> Image.Image:
    """Return a picture of 16 bits."""
    return Image.fromarray(image[..., 0].astype(np.uint16) << 8 | 0x7F)


def test_pictures_are_read_in_the_order_of_their_names(tmp_path: Path):
    source = read_folder(save(tmp_path / "my", "b.png", "a.PNG", "10.png", "9.png"))
    assert (source.name, source.white, source.mapped) == ("my", 255.0, False)
    assert source.train.images.dtype == np.uint8
    np.testing.assert_array_equal(source.train.images, GREY[[2, 3, 1, 0], None])
    assert (source.train.labels, source.test) == (None, None)


def test_the_order_is_not_that_of_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path, *(f"{c}/{n}.png" for c in "abc" for n in range(9)))
    found = {read_folder(tmp_path).sha256}
    scandir = os.scandir
    for key in (lambda entry: entry.name, lambda entry: -ord(entry.name[0])):

        @contextmanager
        def sorted_by(path: Path, key: Any = key) -> Any:
            yield sorted(scandir(path), key=key)

        monkeypatch.setattr(picture_files.os, "scandir", sorted_by)
        found.add(read_folder(tmp_path).sha256)
    assert len(found) == 1


def test_folders_are_classes_in_the_natural_order_of_their_names(tmp_path: Path):
    source = read_folder(save(tmp_path, "b/1.png", "a/2.png", "10/3.png", "b/0.png", "9/9.png"))
    np.testing.assert_array_equal(source.train.images, GREY[[4, 2, 1, 3, 0], None])
    assert source.train.labels is not None
    assert source.classes == ("9", "10", "a", "b")
    assert source.train.files == ("9/9.png", "10/3.png", "a/2.png", "b/0.png", "b/1.png")
    assert (source.train.labels.dtype, source.train.labels.tolist()) == (np.int64, [0, 1, 2, 3, 3])


def test_twelve_numbers_are_counted(tmp_path: Path):
    source = read_folder(save(tmp_path, *(f"{n}/x.png" for n in range(1, 13))))
    assert source.classes == tuple(map(str, range(1, 13)))
    assert source.train.labels is not None
    assert source.train.labels.tolist() == list(range(12))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("TRAIN", "Test"),
        ("Training", "Testing"),
        ("train_images", "test_images"),
        ("images-train", "images-test"),
        ("training_set", "test_set"),
        ("trainData", "testData"),
    ],
)
def test_train_and_test_are_parts(tmp_path: Path, train: str, test: str):
    names = f"{train}/b/1.png", f"{test}/a/1.png", f"{train}/a/1.png", f"{test}/b/1.png"
    source = read_folder(save(tmp_path, *names))
    assert source.test is not None
    np.testing.assert_array_equal(source.train.images, GREY[[2, 0], None])
    np.testing.assert_array_equal(source.test.images, GREY[[1, 3], None])
    for labels in (source.train.labels, source.test.labels):
        assert labels is not None
        assert labels.tolist() == [0, 1]


def test_parts_may_be_flat(tmp_path: Path):
    source = read_folder(save(tmp_path, "train/1.png", "test/1.png", "test/2.png"))
    assert source.test is not None
    assert (len(source.train.images), len(source.test.images)) == (1, 2)
    assert (source.train.labels, source.test.labels) == (None, None)


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
@pytest.mark.parametrize("with_test", [True, False])
def test_a_validation_folder_is_a_part(tmp_path: Path, name: str, with_test: bool):
    names = ["train/a/1.png", "train/b/1.png", f"{name}/a/1.png", f"{name}/b/2.png"]
    source = read_folder(save(tmp_path, *names, *["test/a/1.png"] * with_test))
    assert source.validation is not None
    assert source.validation.files == (f"{name}/a/1.png", f"{name}/b/2.png")
    assert source.validation.labels is not None
    assert source.validation.labels.tolist() == [0, 1]
    assert (source.test is not None) == with_test
    origins = ["train", "validation", "test"] if with_test else ["train", "validation"]
    assert [part.origin for part in source.parts] == origins


def test_parts_share_the_classes_that_any_of_them_has(tmp_path: Path):
    names = "train/a/1.png", "train/b/1.png", "test/b/1.png", "test/c/1.png"
    source = read_folder(save(tmp_path, *names))
    assert source.classes == ("a", "b", "c")
    assert [part.labels.tolist() for part in source.parts] == [[0, 1], [1, 2]]
    assert source.notes == ("some parts lack the classes a, c",)


def test_a_test_part_without_classes_has_no_labels(tmp_path: Path):
    source = read_folder(save(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png"))
    assert source.test is not None
    assert source.train.labels is not None
    assert (source.test.labels, source.classes) == (None, ("a", "b"))
    assert source.notes == ("no classes in test",)


def test_a_class_may_be_named_like_a_part_among_others(tmp_path: Path):
    source = read_folder(save(tmp_path, "bus/1.png", "train/1.png", "tram/1.png"))
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["seg_test", "seg_train"], "which may be parts"),
        (["letters train 2", "letters val 2"], "which may be parts"),
        (["other", "train_big", "test_big"], "which may be parts"),
        (["images", "masks"], "which may not be classes"),
        (["annotations", "Imgs"], "which may not be classes"),
    ],
)
@pytest.mark.parametrize("within", ["", "train/"])
def test_folders_that_may_be_no_classes_are_refused(
    tmp_path: Path, names: list[str], said: str, within: str
):
    parts = ["train/", "test/"] if within else [""]
    save(tmp_path, *(f"{part}{name}/1.png" for part in parts for name in names))
    assert said in refusal(tmp_path)[1]


@pytest.mark.parametrize("names", [["bus", "train"], ["a", "x", "y"], ["images"], ["test", "vase"]])
def test_folders_that_may_be_classes_are(tmp_path: Path, names: list[str]):
    assert read_folder(save(tmp_path, *(f"{n}/1.png" for n in names))).classes == tuple(names)


def test_hidden_names_are_passed_over_with_their_number(tmp_path: Path):
    save(tmp_path, "1.png", ".2.png", ".git/3.png")
    (tmp_path / ".DS_Store").write_bytes(b"Bud1")
    (tmp_path / ".link").symlink_to("/")
    source = read_folder(tmp_path)
    assert source.train.images.shape == (1, 1, 8, 6)
    found = "passed over 4 hidden or system files: .2.png, .DS_Store, .git, …"
    assert source.notes == (found,)


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", "Icon\r", "ehthumbs.db"])
def test_what_systems_leave_is_passed_over(tmp_path: Path, name: str):
    save(tmp_path, "a/1.png", "b/1.png", "__MACOSX/._1.png", "@eaDir/x.png")
    for place in (tmp_path, tmp_path / "a"):
        (place / name).write_bytes(b"x")
    source = read_folder(tmp_path)
    assert (source.classes, len(source.train)) == (("a", "b"), 2)
    assert source.notes[0].startswith("passed over 4 hidden or system files: ")


def test_the_folder_itself_may_be_a_link(tmp_path: Path):
    save(tmp_path / "real", "1.png")
    (tmp_path / "link").symlink_to("real")
    assert read_folder(tmp_path / "link").name == "real"


def test_a_folder_is_named_wherever_it_is_seen_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(save(tmp_path / "my", "1.png"))
    assert read_folder(Path()).name == "my"


def test_the_embedded_data_is_meant_by_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist: Dataset
):
    monkeypatch.chdir(save(tmp_path / "mnist", "1.png", "2.png").parent)
    assert load_data(DataConfig()).identity == mnist.identity
    assert load_data(DataConfig("./mnist")).event_shape == (1, 8, 6)


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_any_mode_is_read_as_pictures_are(tmp_path: Path, mode: str):
    (Image.fromarray(RGB) if mode != "I;16" else wide(RGB)).convert(mode).save(tmp_path / "x.png")
    images = read_folder(tmp_path).train.images
    assert images.shape == (1, MODES[mode], 8, 6)
    event = read_event(tmp_path / "x.png", Recipe.of(DataConfig()), images.shape[1:])
    np.testing.assert_array_equal(images[0], event.values)
    assert images.max() > 99


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["a.png", "z.png"])
def test_one_picture_with_colours_makes_all_of_them_colour(tmp_path: Path, mode: str, name: str):
    save(tmp_path, "b.png", "c.png")
    (Image.fromarray(RGB) if mode != "I;16" else wide(RGB)).convert(mode).save(tmp_path / name)
    source = read_folder(tmp_path)
    images, told = source.train.images, any("2 are grey beside" in note for note in source.notes)
    assert images.shape == (3, MODES[mode], 8, 6)
    assert told == (MODES[mode] == 3)
    grey = images[[1, 2] if name == "a.png" else [0, 1]]
    np.testing.assert_array_equal(grey, np.repeat(GREY[:2, None], MODES[mode], 1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_pictures_whose_colours_are_all_grey_have_one_channel(tmp_path: Path, mode: str):
    for number, grey in enumerate(GREY[:3]):
        Image.fromarray(grey).convert(mode).save(tmp_path / f"{number}.png")
    source = read_folder(tmp_path)
    np.testing.assert_array_equal(source.train.images, GREY[:3, None])
    assert source.notes == ()
    Image.fromarray(RGB).save(tmp_path / "3.png")
    assert read_folder(tmp_path).train.images.shape == (4, 3, 8, 6)


def test_colours_in_the_test_part_alone_count_too(tmp_path: Path):
    save(tmp_path, "train/1.png")
    save(tmp_path, "test/1.png", images=RGB[None])
    source = read_folder(tmp_path)
    assert source.test is not None
    np.testing.assert_array_equal(source.test.images[0], np.moveaxis(RGB, -1, 0))
    assert source.train.images.shape == (1, 3, 8, 6)


def test_unlike_sizes_are_counted_and_brought_to_one_by_the_recipe(tmp_path: Path):
    save(save(tmp_path, "train/a.png", "train/b.png"), "test/z.png", images=GREY[:1, :5])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY[0].T).save(tmp_path / "train" / "turned.png", exif=exif)
    what, why, fix = refusal(tmp_path)
    assert what == f"the pictures in {tmp_path} have different sizes"
    assert why == "found 3 of 6 × 8, such as train/a.png; 1 of 6 × 5, such as test/z.png"
    assert fix.startswith("bring them to one size: --size 64 of `elboroom train`")
    source = read_folder(tmp_path, size="6x8")
    np.testing.assert_array_equal(source.train.images[:2], GREY[:2, None])
    assert [part.images.shape for part in source.parts] == [(3, 1, 8, 6), (1, 1, 8, 6)]


def test_what_is_no_picture_is_passed_over_with_its_kinds(tmp_path: Path):
    save(tmp_path, "a/1.png", "a/deep/2.png", "b/3.png")
    for name in ("notes.txt", "a/labels.CSV", "b/film.mp4", "b/README", "b/preview.nef", "c/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"II*\0" if "nef" in name else b"x")
    source = read_folder(tmp_path)
    assert source.train.files == ("a/1.png", "a/deep/2.png", "b/3.png")
    assert (source.classes, len(source.train)) == (("a", "b"), 3)
    assert source.notes == (
        "passed over 6 files that are no pictures: 2 .txt, 1 .csv, 1 .mp4, 1 .nef, "
        "1 without an ending",
    )


@pytest.mark.parametrize(("names", "found"), [([], "no files"), (["a.txt", "b/c.txt"], "2 .txt")])
def test_a_folder_without_pictures_is_refused(tmp_path: Path, names: list[str], found: str):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert refusal(tmp_path) == [
        f"{tmp_path} is not a folder of pictures",
        f"found {found}; expected pictures",
        "give a folder of JPEG, PNG, WebP, TIFF, BMP or GIF",
    ]


def test_pictures_beside_folders_have_no_classes(tmp_path: Path):
    source = read_folder(save(tmp_path, "2.png", "b/1.png", "a/c/3.png"))
    assert source.train.files == ("2.png", "a/c/3.png", "b/1.png")
    assert (source.train.labels, source.classes) == (None, None)
    assert source.notes == (
        "pictures lie beside the folders a, b, which are therefore not read as classes",
    )


def test_a_file_is_a_picture_by_its_content_or_its_ending(tmp_path: Path):
    Image.fromarray(GREY[0]).save(tmp_path / "hash", "PNG")
    Image.fromarray(GREY[1]).save(tmp_path / "lies.jpg", "PNG")
    source = read_folder(tmp_path)
    np.testing.assert_array_equal(source.train.images, GREY[:2, None])
    assert source.notes == ("1 picture of another kind than the name says: lies.jpg (PNG)",)


def broken(folder: Path) -> Path:
    """Save four pictures in two classes, one of each of which is cut short."""
    save(folder, "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    for name in ("a/2.png", "b/3.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:40])
    return folder


def test_a_broken_picture_is_named_or_left_out(tmp_path: Path):
    path = broken(tmp_path)
    assert refusal(path)[0] == f"cannot read the picture {path}/a/2.png"
    source = read_folder(path, broken="skip")
    np.testing.assert_array_equal(source.train.images, GREY[[0, 3], None])
    assert source.train.labels is not None
    assert (source.train.labels.tolist(), source.train.files) == ([0, 1], ("a/1.png", "b/4.png"))
    assert source.notes[0].startswith("2 pictures left out, which cannot be read: a/2.png (")
    (path / "b/4.png").unlink()
    assert read_folder(path, broken="skip").notes[1] == "no picture is left of the classes b"
    (path / "a/1.png").unlink()
    assert refusal(path, broken="skip")[0] == f"no picture of the train part of {path} can be read"


def test_a_zip_of_another_method_is_refused_with_the_way_to_unpack_it(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.write(save(tmp_path, "1.png") / "1.png", "1.png")
    why, fix = (
        "1.png is compressed by a method other than deflate",
        "unpack it, and give the folder",
    )
    assert refusal(tmp_path / "x.zip")[1:] == [why, fix]


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_an_archive_is_read_as_the_folder_in_it(tmp_path: Path, form: str):
    names = [
        "train/猫/1.png",
        "train/кот/ж.png",
        "train/a b/é.png",
        "test/猫/z.png",
        "test/a b/0.png",
    ]
    save(tmp_path / "my", *names)
    (tmp_path / "my/train/notes.txt").write_bytes(b"x")
    (tmp_path / "my/.DS_Store").write_bytes(b"x")
    expected = read_folder(tmp_path / "my")
    for inner in (".", "my"):
        root = tmp_path / "my" if inner == "." else tmp_path
        archive = shutil.make_archive(str(tmp_path / "packed" / "x"), form, root, inner)
        found = read_folder(Path(archive))
        Path(archive).unlink()
        assert (found.sha256, found.notes, found.classes) == (
            expected.sha256,
            expected.notes,
            expected.classes,
        )
        assert [p.files for p in found.parts] == [p.files for p in expected.parts]
        assert [p.labels.tolist() for p in found.parts] == [
            p.labels.tolist() for p in expected.parts
        ]


def test_the_recipe_makes_the_same_of_pictures_in_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(40):
        side = 20 + number
        image = np.random.default_rng(number).integers(0, 256, (side, 31, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"{number}.jpg")
    found = set()
    for count in (1, 2, 64):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        found.add(read_folder(tmp_path, size="9x7", crop="pad").sha256)
    assert len(found) == 1


def test_options_of_pictures_are_refused_for_arrays(tmp_path: Path):
    np.save(tmp_path / "x.npy", GREY)
    for source in (str(tmp_path / "x.npy"), "mnist"):
        with pytest.raises(UsageError) as error:
            load_data(DataConfig(source, size="64", colour="grey"))
        assert error.value.what.startswith("--size 64 --colour grey cannot be used with ")
    with pytest.raises(UsageError, match="--broken skip cannot be used with arrays"):
        Dataset.from_arrays(GREY, config=DataConfig(broken="skip"))


def test_new_data_are_prepared_as_those_of_the_run(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name, mode in (("own", "L"), ("new", "RGB")):
        (tmp_path / name).mkdir()
        for number in range(20):
            image = rng.integers(0, 256, (9, 8 + number, 3), dtype=np.uint8)
            Image.fromarray(image).convert(mode).save(tmp_path / name / f"{number:02}.png")
    config = DataConfig(str(tmp_path / "own"), size="5x4")
    own = load_data(config)
    assert own.event_shape == (1, 4, 5)
    new = load_new(str(tmp_path / "new"), config, own.identity, own.event_shape)
    expected = read_folder(tmp_path / "new", size="5x4", colour="grey").train.images
    np.testing.assert_array_equal((new.test.x * 255).numpy().round(), expected)
    (tmp_path / "own").rename(tmp_path / "moved")
    moved = load_new(str(tmp_path / "moved"), config, own.identity, own.event_shape)
    assert len(moved.test) == len(own.test)
    np.save(tmp_path / "x.npy", expected)
    same = load_new(str(tmp_path / "x.npy"), config, own.identity, own.event_shape)
    assert torch.equal(same.test.x, new.test.x)


def test_many_sizes_are_counted(tmp_path: Path):
    for number in range(1, 9):
        save(tmp_path, f"{number}.png", images=np.zeros((1, 4, number), np.uint8))
    assert refusal(tmp_path)[1] == (
        "found 1 of 1 × 4, such as 1.png; 1 of 2 × 4, such as 2.png; 1 of 3 × 4, such as 3.png; "
        "and 5 other sizes"
    )


def test_pictures_of_12_bits_in_16_are_refused(tmp_path: Path):
    levels = np.random.default_rng(0).integers(0, 4096, (5, 8, 6)).astype(np.uint16)
    levels[0, 0, 0] = 4095
    save(tmp_path / "dark", *(f"{c}.png" for c in "abcde"), images=levels)
    for how in get_args(BinarisationName):
        assert refusal(tmp_path / "dark", binarisation=how) == [
            "the scale of the pictures in dark is in doubt",
            "found values up to 4095 in pictures of 16 bits, whose white is 65,535",
            "multiply them by 16, so that white of 12 bits is that of 16; or save real values as "
            "one .npy of float32",
        ]
    fixed = read_folder(
        save(tmp_path / "fixed", *(f"{c}.png" for c in "abcde"), images=levels * 16)
    )
    np.testing.assert_array_equal(fixed.train.images, levels[:, None] >> 4)
    assert fixed.notes == ("of pictures of 16 bits the upper 8 are kept",)


def test_one_bright_picture_of_16_bits_is_enough(tmp_path: Path):
    save(tmp_path, "a.png", "b.png", images=np.array([[[4095, 0]], [[40_000, 7]]], np.uint16))
    assert read_folder(tmp_path, binarisation="none").train.images.max() == 40_000 >> 8


@pytest.mark.parametrize("highest", [1, 9, 63])
def test_dark_pictures_are_refused_unless_they_are_asked_for(tmp_path: Path, highest: int):
    save(tmp_path / "my", "a.png", "b.png", images=(GREY % (highest + 1)).astype(np.uint8))
    what, why, _ = refusal(tmp_path / "my")
    assert what == "the scale of the pictures in my is in doubt"
    assert why == f"found values up to {highest}; expected grey levels up to 255"
    assert read_folder(tmp_path / "my", binarisation="none").white == 255


@pytest.mark.parametrize("how", ["auto", "none", "threshold"])
def test_pictures_of_0_and_1_beside_0_and_255_are_refused(tmp_path: Path, how: str):
    bits = (GREY[:2] > 99).astype("u1")
    save(save(tmp_path, "train/1.png", images=255 * bits), "test/1.png", images=bits)
    what, why, fix = refusal(tmp_path, binarisation=how)
    assert (what, fix) == (
        f"the parts of {tmp_path.name} differ in scale",
        "save both with 255 for white",
    )
    assert why == "found 0 to 255 of type uint8 in train; 0 to 1 of type uint8 in test"


def test_transparency_is_blended_over_white_and_told(tmp_path: Path):
    save(tmp_path, "a.png")
    rgba = np.random.default_rng(0).integers(0, 256, (8, 6, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "b.png")
    opaque = np.dstack([rgba[..., :3], np.full((8, 6), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "c.png")
    source = read_folder(tmp_path)
    alpha = rgba[..., 3:] / 255
    blended = np.moveaxis(alpha * rgba[..., :3] + (1 - alpha) * 255, -1, 0)
    assert np.abs(source.train.images[1] - blended).max() <= 0.51
    assert source.notes[0] == "1 picture blended over white where not opaque: b.png"


def test_too_many_pixels_are_refused(tmp_path: Path):
    save(tmp_path, *(f"{n}.png" for n in range(10)))
    save(tmp_path, "x.png", images=RGB[None])
    size = 2 * 11 * RGB.size  # twice, as of other data
    assert read_folder(tmp_path, memory=size / 2**30).train.images.shape == (11, 3, 8, 6)
    assert refusal(tmp_path, memory=(size - 1) / 2**30) == [
        f"{tmp_path} does not fit into --memory {(size - 1) / 2**30:g}",
        "its pictures are 1.48e-06 GiB, which reading doubles, and no part of it can stay on disk",
        f"pack them into an array, which can stay on disk: elboroom pack {tmp_path} "
        f"{tmp_path.stem}.npy, or allow more --memory",
    ]


def test_a_size_that_does_not_fit_is_refused_before_a_picture_is_read(tmp_path: Path):
    (tmp_path / "x.png").write_bytes(b"broken")
    why = refusal(tmp_path, size="9000", crop="pad", background="red", memory=0.1)
    assert why[0] == f"{tmp_path} does not fit into --memory 0.1"
    assert why[2].endswith(
        f"{tmp_path.stem}.npy --size 9000 --crop pad --background red, or allow more --memory"
    )
    with pytest.raises(UsageError, match="--size 9460 cannot be used"):
        read_folder(tmp_path, size="9460", memory=1e9)


PARTS = "; expected `train`, `val`, `test`"


def test_one_part_alone_is_refused(tmp_path: Path):
    assert refusal(save(tmp_path, "Training/1.png"))[1:] == [
        "found the part Training alone; expected `val` or `test` beside it",
        "give that folder itself, of which a part is then held out",
    ]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (
            ["a.png", "train/1.png", "test/1.png"],
            "found the parts test, train beside pictures" + PARTS,
        ),
        (["val/1.png", "test/1.png"], "found the parts test, val" + PARTS),
        (
            [f"{n}/1.png" for n in ("test", "train", *"abcdefgh")],
            "found the parts a, b, c, d, e, f, g, h, test, …" + PARTS,
        ),
        (
            [f"{n}/1.png" for n in ("test", "train", "Train")],
            "found the parts Train, test, train" + PARTS,
        ),
        (
            [f"{n}/1.png" for n in ("train", "val", "validation")],
            "found the parts train, val, validation" + PARTS,
        ),
    ],
)
def test_another_layout_is_refused(tmp_path: Path, names: list[str], why: str):
    save(tmp_path, *names)
    expected = [f"{tmp_path} is not a folder of pictures", why.format(tmp_path), LAYOUT]
    assert refusal(tmp_path) == expected


def test_a_link_is_refused(tmp_path: Path):
    save(tmp_path, "1.png")
    (tmp_path / "2.png").symlink_to("1.png")
    why = f"{tmp_path / '2.png'} is a symbolic link, which may lead out of the folder"
    fix = "put the file itself in its place"
    assert refusal(tmp_path) == [f"{tmp_path} is not a folder of pictures", why, fix]


@pytest.mark.parametrize("name", ["x\ny.png", "x.png\n", "x\r.png", "x\u2028.png"])
def test_a_name_with_a_line_break_is_refused(tmp_path: Path, name: str):
    why = f"the name {name!a} has a line break"
    assert refusal(save(tmp_path, name))[1] == why


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def forbid(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(picture_files.os, "scandir", forbid)
    why = f"[Errno 13] Permission denied: '{tmp_path}'"
    fix = "make it readable, or give another folder"
    assert refusal(tmp_path) == [f"{tmp_path} is not a folder of pictures", why, fix]


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.png", "3.png", "4.png"],
        ["a/1.png", "a/2.png", "b/1.png", "b/2.png"],
        ["train/1.png", "train/2.png", "test/1.png", "test/2.png"],
    ],
)
def test_too_many_files_are_refused(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
):
    save(tmp_path, *names)
    monkeypatch.setattr(picture_files, "_MOST_NAMES", 4)
    read_folder(tmp_path)
    monkeypatch.setattr(picture_files, "_MOST_NAMES", 3)
    assert refusal(tmp_path) == [
        f"{tmp_path} is not a folder of pictures",
        "it contains more than 3 names",
        "save the images as one .npy of uint8, which can stay on disk",
    ]


def test_a_run_is_no_folder_of_pictures(run: Path):
    assert refusal(run) == [
        f"{run} is a run, not a folder of pictures",
        "it contains a config.toml",
        f"give the folder of the pictures, or resume the run with --resume {run}",
    ]


def test_a_damaged_picture_is_refused(tmp_path: Path):
    path = save(tmp_path, "1.png", "2.png") / "2.png"
    path.write_bytes(path.read_bytes()[:-5])
    assert refusal(tmp_path) == [
        f"cannot read the picture {path}",
        "broken PNG file (chunk b'IEN')",
        "save it again, or take it out; --broken skip leaves such pictures out",
    ]


def test_memory_is_that_of_the_options(tmp_path: Path):
    config = DataConfig(str(save(tmp_path, "1.png", "2.png")), memory=0)
    with pytest.raises(DataError, match="does not fit into --memory 0"):
        load_data(config)


def same(a: Dataset, b: Dataset) -> None:
    """Check that two datasets differ only in the name of their source."""
    assert replace(a.identity, source="") == replace(b.identity, source="")
    for name in ("train", "validation", "test"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.images.dtype == y.images.dtype
        assert torch.equal(x.images, y.images)
        assert x.binarisation == y.binarisation
        assert (x.labels is None) == (y.labels is None)
        assert x.labels is None or torch.equal(x.labels, y.labels)


@pytest.mark.parametrize("how", get_args(BinarisationName))
def test_a_folder_is_the_data_of_the_same_array(tmp_path: Path, how: Any):
    save(tmp_path / "my", *(f"{n:02}.png" for n in range(60)))
    np.save(tmp_path / "my.npy", GREY)
    config = DataConfig(str(tmp_path / "my"), how, validation=7)
    same(load_data(config), load_data(replace(config, source=str(tmp_path / "my.npy"))))


@pytest.mark.parametrize("how", get_args(BinarisationName))
def test_a_folder_of_parts_and_classes_is_the_data_of_the_same_arrays(tmp_path: Path, how: Any):
    train = [f"train/{n // 10}/{n:02}.png" for n in range(40)]
    save(tmp_path / "my", *train, *(f"test/{n // 5}/{n:02}.png" for n in range(20)))
    labels = {"y_train": np.arange(40) // 10, "y_test": np.arange(20) // 5}
    np.savez(tmp_path / "my.npz", x_train=GREY[:40], x_test=GREY[40:], **labels)
    config = DataConfig(str(tmp_path / "my"), how, validation=7)
    same(load_data(config), load_data(replace(config, source=str(tmp_path / "my.npz"))))


def test_the_command_line_trains_on_a_folder_as_on_its_array(
    tmp_path: Path, elboroom: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "my", *(f"{n:02}.png" for n in range(60)))
    np.save(tmp_path / "my.npy", GREY)
    options = ["--hidden", 4, "--batch-size", 20, "--epochs", 2, "--threads", 1, "--quiet"]
    options += ["--preset", "own", "--checkpoint-epochs", 1, "--binarisation", "threshold"]
    for name in ("my", "my.npy"):
        outcome = elboroom("train", "--data", name, *options, "--out", tmp_path / f"run {name}")
        assert outcome == (0, "", "")
    run, of_array = tmp_path / "run my", tmp_path / "run my.npy"
    assert last_checkpoint(run) == last_checkpoint(of_array)
    shutil.rmtree(max((run / "checkpoints").iterdir()))
    monkeypatch.chdir("/")
    assert elboroom("train", "--resume", run).code == 0
    assert last_checkpoint(run) == last_checkpoint(of_array)
    assert metrics(run) == metrics(of_array)
    assert elboroom("evaluate", run, "--k", 3, "--quiet").code == 0
    save(tmp_path / "my", "59.png")
    what, why, _ = error(elboroom("evaluate", run, "--k", 3), 2)
    assert what == f"the data of {run} has changed since it was trained"
    assert "sha256" in why


def test_the_command_line_refuses_what_is_no_folder_of_pictures(
    tmp_path: Path, elboroom: Command, run: Path
):
    outcome = elboroom("train", "--data", run, "--out", tmp_path / "new")
    assert error(outcome, 2)[0] == f"{run} is a run, not a folder of pictures"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("dark", ["train", "test"])
def test_pictures_of_0_and_1_beside_others_are_refused(tmp_path: Path, dark: str):
    for part in ("train", "test"):
        (tmp_path / "p" / part).mkdir(parents=True)
        for number in range(3):
            pixels = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
            Image.fromarray(pixels // 128 if part == dark else pixels).save(
                tmp_path / "p" / part / f"{number}.png"
            )
    with pytest.raises(DataError) as error:
        load_data(DataConfig(str(tmp_path / "p")))
    assert error.value.what == "the parts of p differ in scale"
    assert error.value.fix == "save both with 255 for white"
