"""Parts of a Dataset as commands look at them: rows keep their numbers, values and names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from elboroom import DataConfig, Dataset, load_data
from elboroom.data import Identity, Part, noun
from elboroom.data.lazy_images import JoinedImages
from elboroom.errors import UsageError

GREY = np.random.default_rng(0).integers(0, 256, (60, 3, 4), dtype=np.uint8)


def on_disk(folder: Path, memory: float, **options: Any) -> Dataset:
    np.save(folder / "grey.npy", GREY)
    return load_data(DataConfig(str(folder / "grey.npy"), memory=memory, **options))


@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_all_rows_are_those_of_the_file_in_its_order(tmp_path: Path, memory: float):
    whole = on_disk(tmp_path, memory, validation=13).part("all")
    assert whole.on_disk == (memory == 0)
    np.testing.assert_array_equal(whole.x[:, 0], (GREY / 255).astype("f4"))
    np.testing.assert_array_equal(whole.numbers, np.arange(60))
    some = whole.rows([59, 0])
    np.testing.assert_array_equal(some.x[:, 0], (GREY[[59, 0]] / 255).astype("f4"))
    assert some.numbers.tolist() == [59, 0]


@pytest.mark.parametrize("memory", [2.0, 0.0])
@pytest.mark.parametrize("how", ["threshold", "static", "dynamic"])
def test_a_row_has_the_same_values_in_its_part_and_among_all(
    tmp_path: Path, how: str, memory: float
):
    data = on_disk(tmp_path, memory, binarisation=how, validation=13)
    whole = data.part("all").x
    for name in data.parts:
        part = data.part(name)
        assert not part.redraw
        assert ((part.x == 0) | (part.x == 1)).all()
        assert torch.equal(part.x, whole[part.numbers])


def test_training_rows_that_are_drawn_at_each_visit_are_looked_at_as_static_ones(tmp_path: Path):
    dynamic, static = (on_disk(tmp_path, 2.0, binarisation=b) for b in ("dynamic", "static"))
    assert dynamic.train.redraw
    assert torch.equal(dynamic.part("train").x, static.train.x)


def test_rows_of_several_arrays_follow_in_their_order_and_are_numbered_through(tmp_path: Path):
    np.savez(tmp_path / "x.npz", x_test=GREY[:5], x_train=GREY[5:], y_train=np.arange(55) % 3)
    data = load_data(DataConfig(str(tmp_path / "x.npz"), validation=7))
    whole = data.part("all")
    np.testing.assert_array_equal(whole.x[:, 0] * 255, np.concatenate([GREY[5:], GREY[:5]]))
    assert whole.numbers.tolist() == list(range(60))
    assert whole.origin == "x_train, then x_test"
    assert whole.labels is None  # the test rows have none


def test_rows_of_a_folder_keep_their_files_and_labels(tmp_path: Path):
    for number, image in enumerate(GREY):
        folder = tmp_path / "faces" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:02}.png")
    data = load_data(DataConfig(str(tmp_path / "faces"), validation=5))
    for part in (data.part("test"), data.part("all")):
        assert part.files is not None
        assert part.labels is not None
        numbers = [int(Path(file).stem) for file in part.files]
        np.testing.assert_array_equal(part.x[:, 0], (GREY[numbers] / 255).astype("f4"))
        assert [Path(file).parent.name for file in part.files] == ["ab"[y] for y in part.labels]
    assert data.part("all").numbers.tolist() == list(range(60))


@pytest.mark.parametrize("name", ["validation", "dev"])
def test_a_part_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, name: Any):
    with pytest.raises(UsageError) as error:
        on_disk(tmp_path, 2.0).part(name)
    assert error.value.what == f"the data have no part {name}"
    assert error.value.why == "found the parts train, test, all"


def test_a_row_of_a_table_is_called_a_row_and_a_picture_an_image(mnist: Dataset):
    table = Dataset.from_arrays(np.random.default_rng(0).random((20, 3)))
    assert (mnist.noun, mnist.test.nouns) == ("image", "images")
    assert (table.nouns, table.test.noun) == ("rows", "row")
    assert (noun((3, 4)), noun((1, 3, 4))) == ("row", "image")


def test_parts_made_by_hand_follow_one_after_the_other():
    first, second = Part(torch.zeros(3, 2), None), Part(torch.ones(2, 2), None)
    data = Dataset(Identity("own", "", "none", "standard", 2), first, None, second)
    assert data.part("all").x[:, 0].tolist() == [0, 0, 0, 1, 1]
    assert data.part("all").numbers.tolist() == [0, 1, 2, 3, 4]


def test_joined_parts_can_be_joined_again_and_moved():
    parts = [Part(torch.arange(6.0).view(2, 3), None), Part(torch.ones(1, 3), None)]
    joined = JoinedImages.of([part.images for part in parts], np.array([2, 1, 0]))
    again = JoinedImages.of([joined, torch.zeros(1, 3)], np.array([3, 0, 1]))
    expected = torch.tensor([[0.0, 0, 0], [1, 1, 1], [3, 4, 5]])
    assert torch.equal(torch.cat(list(again.to(torch.device("cpu")).split(2))), expected)
    assert (again.shape, again.on_disk, len(again)) == ((3, 3), False, 3)
