import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import DataConfig, Dataset, load_data
from elboroom.data import Identity
from elboroom.data.mnist import read_mnist
from elboroom.errors import IncomparableError

IDENTITY = Identity("mnist", "ab12", "threshold", "standard", 10_000)


def test_the_identity_of_mnist_is_the_digest_of_its_images(mnist: Dataset):
    source = read_mnist()
    expected = hashlib.sha256(b"".join(p.images.tobytes() for p in source.parts)).hexdigest()
    assert mnist.identity == Identity("mnist", expected, "threshold", "standard", 10_000)


def test_results_of_the_same_data_may_be_compared():
    IDENTITY.require_same(replace(IDENTITY))


def test_data_under_another_name_are_the_same():
    IDENTITY.require_same(replace(IDENTITY, source="renamed.npz"))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"drawn_rows": "ef"}, "drawn_rows: None against ef"),
        ({"sha256": "cd34"}, "sha256: ab12 against cd34"),
        ({"binarisation": "static"}, "binarisation: threshold against static"),
        ({"split": "reference"}, "split: standard against reference"),
        ({"test_images": 9}, "test_images: 10000 against 9"),
        (
            {"binarisation": "none", "split": "reference"},
            "binarisation: threshold against none; split: standard against reference",
        ),
    ],
)
def test_results_of_unlike_data_may_not_be_compared(change: dict[str, Any], found: str):
    with pytest.raises(IncomparableError) as error:
        IDENTITY.require_same(replace(IDENTITY, **change))
    assert str(error.value) == (
        "these results cannot be compared\n"
        f"  why: they are of different data ({found})\n"
        "  fix: evaluate runs that share data, binarisation and split"
    )


@pytest.mark.parametrize("how", ["threshold", "dynamic", "static"])
def test_binarisation_and_split_are_part_of_the_identity(digits: Path, how: Any):
    identity = load_data(DataConfig(source=str(digits), binarisation=how)).identity
    assert (identity.binarisation, identity.split) == (how, "stratified")
    assert (identity.source, identity.test_images) == ("digits.npz", 30)


def test_one_changed_pixel_changes_the_identity(tmp_path: Path):
    images = np.eye(3, dtype=np.uint8)[None].repeat(20, 0)
    found = []
    for value in (0, 1):
        images[7, 1, 1] = value
        np.save(tmp_path / "my.npy", images)
        found.append(load_data(DataConfig(source=str(tmp_path / "my.npy"))).identity.sha256)
    assert found[0] != found[1]


def test_grey_data_without_binarisation_stays_grey(tmp_path: Path):
    images = np.array([[0, 1], [0.25, 0.5], [1, 0], [1, 0.75]])
    np.savez(tmp_path / "my.npz", x_train=images, x_test=images[:1])
    data = load_data(DataConfig(source=str(tmp_path / "my.npz"), binarisation="none"))
    np.testing.assert_array_equal(data.train.x, images)


@pytest.mark.parametrize("white", [1, 255])
def test_binary_data_needs_no_binarisation(tmp_path: Path, white: int):
    bits = np.random.default_rng(0).integers(0, 2, (20, 4, 4), dtype=np.uint8)
    bits[0, 0, 0] = 1
    np.savez(tmp_path / "my.npz", x_train=bits * white, x_test=bits[:3] * white)
    data = load_data(DataConfig(source=str(tmp_path / "my.npz"), binarisation="none"))
    np.testing.assert_array_equal(data.train.x, bits[:, None])
    np.testing.assert_array_equal(data.test.x, bits[:3, None])


def test_rows_of_a_part_keep_their_labels(mnist: Dataset):
    part = mnist.test.rows([3, 0])
    assert part.labels is not None
    assert part.labels.tolist() == [0, 7]
    assert torch.equal(part.images, mnist.test.images[[3, 0]])


def test_a_batch_is_the_images_at_its_index_as_floats(mnist: Dataset):
    batch = mnist.test.batch(torch.tensor([5, 5, 2]), torch.Generator())
    assert batch.dtype == torch.float32
    assert torch.equal(batch, mnist.test.images[[5, 5, 2]].float())
