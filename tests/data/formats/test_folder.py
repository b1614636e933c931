"""A folder of pictures is the array of them."""

import os
import shlex
import shutil
import subprocess
import sys
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
from elboroom.data.formats import folder, folder_listing
from elboroom.data.formats.png import PngHeader, read_header, read_picture
from elboroom.data.source import Source
from elboroom.errors import DataError
from tests.support.command import Command
from tests.support.outcomes import error, last_checkpoint, metrics

GREY = np.random.default_rng(0).integers(0, 256, (60, 8, 6), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (8, 6, 3), dtype=np.uint8)
MODES = {"1": 1, "L": 1, "LA": 1, "I;16": 1, "P": 3, "RGB": 3, "RGBA": 3}
LAYOUT = (
    "put only .png files in it, or one folder of them for each class; parts are folders `train`, "
    "`val` and `test`, of which only `train` is needed beside another"
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

        monkeypatch.setattr(folder_listing.os, "scandir", sorted_by)
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
    expected = read_picture(tmp_path / "x.png", images.shape[1:])
    np.testing.assert_array_equal(images[0] / np.float32(255), expected)
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
    assert source.notes == ("all colours are grey, so that one channel is kept",)
    Image.fromarray(RGB).save(tmp_path / "3.png")
    assert read_folder(tmp_path).train.images.shape == (4, 3, 8, 6)


def test_colours_in_the_test_part_alone_count_too(tmp_path: Path):
    save(tmp_path, "train/1.png")
    save(tmp_path, "test/1.png", images=RGB[None])
    source = read_folder(tmp_path)
    assert source.test is not None
    np.testing.assert_array_equal(source.test.images[0], np.moveaxis(RGB, -1, 0))
    assert source.train.images.shape == (1, 3, 8, 6)


@pytest.mark.parametrize("other", ["z.png", "test/z.png"])
def test_pictures_of_unlike_sizes_are_counted_and_resized_by_the_fix(tmp_path: Path, other: str):
    path, part = tmp_path / "my", "train/" * ("/" in other)
    save(save(path, f"{part}a.png", f"{part}b.png"), other, images=GREY[:1, :5])
    what, why, fix = refusal(path)
    assert what == f"the pictures in {path} have different sizes"
    assert why == f"found 2 of 6 × 8, such as {part}a.png; 1 of 6 × 5, such as {other}"
    run(fix.removeprefix("bring them to one size: "))
    source = read_folder(tmp_path / "my-png")
    assert source.train.images.shape[1:] == (1, 8, 6)
    np.testing.assert_array_equal(source.train.images[:2], GREY[:2, None])
    assert sum(map(len, source.parts)) == 3


def test_many_sizes_are_counted(tmp_path: Path):
    for number in range(1, 9):
        save(tmp_path, f"{number}.png", images=np.zeros((1, 4, number), np.uint8))
    assert refusal(tmp_path)[1] == (
        "found 1 of 1 × 4, such as 1.png; 1 of 2 × 4, such as 2.png; 1 of 3 × 4, such as 3.png; "
        "and 5 other sizes"
    )


@pytest.mark.parametrize("kind", ["JPEG", "webp"])
def test_other_pictures_are_converted_by_the_fix(tmp_path: Path, kind: str):
    path = tmp_path / "photos"
    for number, label in enumerate("aabb"):
        (path / label).mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(number).integers(0, 256, (30 + number, 40, 3), np.uint8)
        Image.fromarray(image).save(path / label / f"{number}.{kind}")
    what, why, fix = refusal(path)
    assert what == f"{path} is not a folder of pictures"
    assert why == f"{path / 'a' / f'0.{kind}'} is not a .png"
    line = fix.removeprefix("save all pictures as PNG of one size that you choose: ")
    run(line)
    source = read_folder(tmp_path / "photos-png")
    assert source.train.images.shape == (4, 3, 64, 64)
    assert source.classes == ("a", "b")


def run(line: str) -> None:
    """Run the Python of a line for a shell."""
    program, _, code = shlex.split(line)
    assert program == "python"
    subprocess.run([sys.executable, "-c", code], check=True)


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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("colour", [0, 90, 255])
def test_a_shape_in_the_transparency_alone_is_refused(tmp_path: Path, mode: str, colour: int):
    save(tmp_path, "a.png")
    alpha = np.where(np.arange(48).reshape(8, 6) % 5, 255, 0).astype(np.uint8)
    if mode == "P":
        picture = Image.fromarray((alpha > 0).astype(np.uint8), "P")
        picture.putpalette([colour] * 6)
        picture.save(tmp_path / "b.png", transparency=bytes([0, 255]))
    else:
        bands = [np.full_like(alpha, colour)] * (len(mode) - 1)
        Image.fromarray(np.stack([*bands, alpha], -1), mode).save(tmp_path / "b.png")
    for how in ("auto", "none"):
        what, why, fix = refusal(tmp_path, binarisation=how)
        assert what == f"{tmp_path / 'b.png'} has its shape in its transparency alone"
        assert why == f"all pixels have the colour {(colour,) * 3}, and unlike opacity"
        assert fix.startswith("blend the pictures with a background, such as Image.alpha_composite")


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


def test_transparency_beside_colours_is_dropped_and_said(tmp_path: Path):
    save(tmp_path, "a.png")
    rgba = np.random.default_rng(0).integers(0, 256, (8, 6, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "b.png")
    opaque = np.dstack([rgba[..., :3], np.full((8, 6), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "c.png")
    source = read_folder(tmp_path)
    np.testing.assert_array_equal(source.train.images[1], np.moveaxis(rgba[..., :3], -1, 0))
    assert source.notes == (
        "1 are grey beside colours, with three channels made alike",
        "the transparency of 1 pictures is dropped",
    )


def test_too_many_pixels_are_refused_before_one_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save(tmp_path, *(f"{n}.png" for n in range(10)))
    save(tmp_path, "x.png", images=RGB[None])
    size = 2 * 11 * RGB.size  # twice, as of other data
    assert read_folder(tmp_path, memory=size / 2**30).train.images.shape == (11, 3, 8, 6)
    monkeypatch.setattr(folder, "read_pixels", None)
    assert refusal(tmp_path, memory=(size - 1) / 2**30) == [
        f"{tmp_path} does not fit into --memory {(size - 1) / 2**30:g}",
        "its pictures are 1.48e-06 GiB, which reading doubles, and no part of it can stay on disk",
        "save the images as one .npy of uint8, which can stay on disk, or allow more --memory",
    ]


@pytest.mark.parametrize("side", [2_896, 2_900])
def test_pictures_that_unpack_to_much_more_than_images_do_are_refused(tmp_path: Path, side: int):
    Image.new("L", (side, side)).save(tmp_path / "1.png")
    shutil.copy(tmp_path / "1.png", tmp_path / "2.png")
    if side == 2_896:  # 16 MiB, which may be
        assert not read_folder(tmp_path).train.images.any()
        return
    size = 2 * (tmp_path / "1.png").stat().st_size
    assert refusal(tmp_path) == [
        f"the pictures in {tmp_path} are too large for their files",
        f"its {size:,} bytes unpack to 16,820,000; data do not compress so well",
        "save the images as one .npy of uint8, which can stay on disk",
    ]


def test_a_picture_that_changes_while_the_folder_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folder, "read_header", lambda path: PngHeader((5, 4), 1, 20, 99))
    assert refusal(save(tmp_path, "1.png"))[0] == f"{tmp_path / '1.png'} has the wrong size"


@pytest.mark.parametrize("mode", MODES)
def test_a_header_tells_what_values_take_in_whole_bytes(tmp_path: Path, mode: str):
    Image.new(mode, (21, 9)).save(tmp_path / "x.png")
    row = {"1": 21, "L": 21, "P": 21, "LA": 42, "I;16": 42, "RGB": 63, "RGBA": 84}[mode]
    size = (tmp_path / "x.png").stat().st_size
    assert read_header(tmp_path / "x.png") == PngHeader((21, 9), MODES[mode], 9 * row, size)


PARTS = "; expected `train`, `val`, `test`"


def test_one_part_alone_is_refused(tmp_path: Path):
    assert refusal(save(tmp_path, "Training/1.png"))[1:] == [
        "found the part Training alone; expected `val` or `test` beside it",
        "give that folder itself, of which a part is then held out",
    ]


@pytest.mark.parametrize("name", ["labels.csv", "data.npy", "notes"])
def test_another_file_is_refused(tmp_path: Path, name: str):
    (save(tmp_path, "1.png") / name).write_bytes(b"0.png,1")
    assert refusal(tmp_path)[1:] == [
        f"{tmp_path / name} is not a .png",
        f"take it out of the folder; {LAYOUT}",
    ]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "{} holds no pictures"),
        ([".hidden.png"], "{} holds no pictures"),
        (["a.png", "b/1.png"], "{} holds both pictures (a.png) and folders (b)"),
        (
            ["a.png", "train/1.png", "test/1.png"],
            "{} holds both pictures (a.png) and folders (test)",
        ),
        (["a/1.png", "b/c/1.png"], "{}/b/c is a folder within a class"),
        (["train/a/b/1.png", "test/a/1.png"], "{}/train/a/b is a folder within a class"),
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


def test_a_class_without_pictures_is_refused(tmp_path: Path):
    (save(tmp_path, "a/1.png") / "b").mkdir()
    assert refusal(tmp_path)[1] == f"{tmp_path / 'b'} holds no pictures"


def test_a_link_is_refused(tmp_path: Path):
    save(tmp_path, "1.png")
    (tmp_path / "2.png").symlink_to("1.png")
    why = f"{tmp_path / '2.png'} is a symbolic link, which may lead out of the folder"
    assert refusal(tmp_path) == [f"{tmp_path} is not a folder of pictures", why, LAYOUT]


@pytest.mark.parametrize("name", ["x\ny.png", "x.png\n", "x\r.png", "x\u2028.png"])
def test_a_name_with_a_line_break_is_refused(tmp_path: Path, name: str):
    why = f"the name {name!a} has a line break"
    assert refusal(save(tmp_path, name))[1] == why


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def forbid(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(folder_listing.os, "scandir", forbid)
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
    monkeypatch.setattr(folder_listing, "_MOST_NAMES", 4)
    read_folder(tmp_path)
    monkeypatch.setattr(folder_listing, "_MOST_NAMES", 3)
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
        "it is not a valid PNG (broken PNG file (chunk b'IEN'))",
        "save it again as a PNG, or take it out of the folder",
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
    options += ["--checkpoint-epochs", 1, "--binarisation", "threshold"]
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
