"""Data that a run meets later: its own from another place, or new rows of the same meaning."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from elboroom import DataConfig, Dataset, load_data
from elboroom.data import load_new
from elboroom.errors import DataError, IncomparableError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (50, 3, 4), dtype=np.uint8)
TABLE = RANDOM.normal(size=(50, 4)).astype("f4")
UNIT = RANDOM.random((50, 4)).astype("f4")
BITS = (RANDOM.random((50, 4)) < 0.5).astype("u1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_on(x: np.ndarray, **options: Any) -> tuple[DataConfig, Dataset]:
    np.save("own.npy", x)
    config = DataConfig("own.npy", **options)
    return config, load_data(config)


def new(source: str, run: tuple[DataConfig, Dataset]) -> Dataset:
    config, data = run
    return load_new(source, config, data.identity, data.event_shape)


@pytest.mark.parametrize("how", ["auto", "threshold", "static"])
def test_the_own_data_moved_and_renamed_keep_their_parts(how: Any):
    run = run_on(GREY, binarisation=how, validation=6)
    Path("b").mkdir()
    Path("own.npy").rename("b/other.npy")
    found = new("b/other.npy", run)
    assert replace(found.identity, source="own.npy") == run[1].identity
    for name, part in run[1].parts.items():
        assert torch.equal(found.part(name).x, part.x)
        np.testing.assert_array_equal(found.part(name).numbers, part.numbers)


def test_the_own_values_without_the_labels_of_the_split_are_refused():
    np.savez("own.npz", x=TABLE, y=np.arange(50) % 3)
    config = DataConfig("own.npz")
    np.save("x.npy", TABLE)
    with pytest.raises(IncomparableError) as error:
        new("x.npy", (config, load_data(config)))
    assert error.value.what == "x.npy has the values of the run's data, but not its parts"


def test_new_data_are_read_whole_in_their_order():
    run = run_on(TABLE)
    np.savez("new.npz", x_train=TABLE[:9] + 1, x_test=TABLE[9:20] + 1, y_train=np.arange(9))
    found = new("new.npz", run)
    np.testing.assert_array_equal(found.test.x, TABLE[:20] + 1)
    assert found.part("all").numbers.tolist() == list(range(20))
    assert found.test.origin == "x_train, then x_test"
    assert (found.identity.split, found.identity.test_images) == ("whole", 20)
    assert found.identity.sha256 != run[1].identity.sha256


def test_one_row_is_data_enough():
    run = run_on(TABLE)
    np.save("one.npy", TABLE[:1] * 100)
    assert new("one.npy", run).test.x.tolist() == (TABLE[:1] * 100).tolist()


def test_dark_pictures_of_a_run_on_bytes_are_divided_by_255_too():
    run = run_on(GREY)
    for dark in (GREY // 128, GREY // 64, np.zeros_like(GREY)):  # 0 and 1; to 3; all black
        np.save("dark.npy", dark)
        np.testing.assert_array_equal(new("dark.npy", run).test.x[:, 0] * 255, dark)


def test_new_data_are_made_binary_as_those_of_the_run():
    run = run_on(GREY, binarisation="threshold")
    np.save("new.npy", GREY[:7])
    np.testing.assert_array_equal(new("new.npy", run).test.x[:, 0], GREY[:7] > 127)
    dynamic = run_on(GREY, binarisation="dynamic")
    drawn = new("new.npy", dynamic).test
    assert not drawn.redraw
    assert ((drawn.x == 0) | (drawn.x == 1)).all()


def test_pictures_in_a_folder_meet_a_run_on_mnist(mnist: Dataset):
    digits = load_data(DataConfig(binarisation="none")).test.rows([0, 1]).images
    Path("digits").mkdir()
    for number, digit in enumerate(digits):
        Image.fromarray(digit[0].numpy()).save(f"digits/{number}.png")
    found = load_new("digits", DataConfig(), mnist.identity, mnist.event_shape)
    assert torch.equal(found.test.x, mnist.test.x[:2])
    assert found.test.files == ("0.png", "1.png")


def save_pictures(folder: str, sizes: list[tuple[int, int]]) -> None:
    Path(folder).mkdir()
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (number, 9, 250)).save(f"{folder}/{number}.png")


@pytest.mark.parametrize("sizes", [[(4, 3), (5, 3)], [(5, 3), (5, 3)]])
def test_the_fix_for_pictures_of_other_sizes_is_one_of_new_data(sizes: list[tuple[int, int]]):
    save_pictures("own", [(4, 3)] * 20)
    save_pictures("new", sizes)
    config = DataConfig("own")
    with pytest.raises(DataError) as error:
        new("new", (config, load_data(config)))
    line = "elboroom pack new new.npy --size 4x3 --colour rgb"
    assert (
        error.value.fix == f"bring them to the size of the run's data: {line}, and give that file"
    )


def test_the_fix_for_a_broken_picture_is_one_of_new_data():
    save_pictures("own", [(4, 3)] * 20)
    save_pictures("new", [(4, 3)] * 2)
    Path("new/1.png").write_bytes(b"broken")
    config = DataConfig("own")
    with pytest.raises(DataError) as error:
        new("new", (config, load_data(config)))
    assert error.value.fix == "save it again, or take it out"


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (GREY.reshape(50, 12), TABLE),
        (GREY, GREY[:, :2]),
        (UNIT, TABLE),
        (BITS, UNIT),
        (BITS, 255 * BITS),
        (UNIT, (255 * UNIT).astype("u1")),
        (TABLE, (255 * UNIT).astype("u1")),
        (GREY, GREY.astype("f4")),
        (GREY, GREY.astype("f4") / 300),
    ],
)
def test_rows_of_another_shape_or_meaning_are_refused(own: np.ndarray, other: np.ndarray):
    run = run_on(own)
    np.save("new.npy", other)
    with pytest.raises(DataError) as error:
        new("new.npy", run)
    assert "run" in error.value.why


@pytest.mark.parametrize(
    ("own", "other"),
    [(TABLE, UNIT), (TABLE, BITS.astype("f4")), (UNIT, BITS.astype("f4")), (GREY, GREY / 255)],
)
def test_values_of_a_narrower_kind_are_those_of_the_run(own: np.ndarray, other: np.ndarray):
    run = run_on(own)
    np.save("new.npy", other[3:])
    found = new("new.npy", run).test.x
    np.testing.assert_array_equal(found.flatten(), other[3:].astype("f4").flatten())


def test_data_of_a_run_in_batches_stay_on_disk():
    run = run_on(TABLE, memory=0)
    np.save("new.npy", TABLE[::-1].copy())
    found = new("new.npy", run).test
    assert found.on_disk
    np.testing.assert_array_equal(found.x, TABLE[::-1])


def test_groups_and_validation_of_the_own_data_are_found_again():
    subject = np.arange(50) // 5
    np.savez("own.npz", x=TABLE, subject=subject)
    np.save("who.npy", subject)
    for group_by in ("subject", "who.npy"):
        source = "own.npz" if group_by == "subject" else "x.npy"
        np.save("x.npy", TABLE)
        config = DataConfig(source, group_by=group_by, validation=10)
        run = config, load_data(config)
        moved = Path("moved" + source)
        moved.write_bytes(Path(source).read_bytes())
        assert new(str(moved), run).identity.drawn_rows == run[1].identity.drawn_rows
        np.save("new.npy", TABLE[:6] + 1)
        assert len(new("new.npy", run).test) == 6


def test_booleans_are_black_and_white_to_a_run_on_bytes():
    run = run_on(GREY)
    np.save("bits.npy", GREY > 127)
    assert new("bits.npy", run).test.x.unique().tolist() == [0.0, 1.0]
    np.save("dark.npy", (GREY > 127).astype("u1"))
    assert new("dark.npy", run).test.x.max().item() == pytest.approx(1 / 255)
