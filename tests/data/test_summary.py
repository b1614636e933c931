"""The block that says what was read says what is true of the data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import DataConfig, Dataset, ModelConfig
from elboroom.config import LikelihoodName
from elboroom.data import Identity, Part
from elboroom.data.summary import summary
from tests.support.command import Command

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (50, 3, 4), dtype=np.uint8)
GREY[0, 0, :2] = 0, 255


def lines(data: Dataset, likelihood: LikelihoodName = "gaussian", asked: Any = "auto") -> list[str]:
    return summary(data, ModelConfig(likelihood=likelihood), asked=asked)


def test_everything_that_was_read_of_pictures_is_said():
    config = DataConfig(validation=9)
    data = Dataset.from_arrays(GREY, y_train=np.arange(50) % 2, config=config, name="faces.npz")
    assert lines(data, "discretized-logistic")[:5] == [
        "read: faces.npz: 50 images of 1 × 3 × 4",
        "values: 0 to 255 as uint8, none missing; divided by 255, which gives levels k/255 of "
        "bytes",
        "labels: 2 classes: 0, 1",
        "split: 36 for training, 9 for validation (drawn at random, with the shares of the "
        "classes), 5 for testing (a tenth, drawn at random, with the shares of the classes)",
        "likelihood: discretized-logistic, because the values are levels k/255 of bytes",
    ]


def test_the_families_of_columns_are_counted():
    data = Dataset.from_arrays(np.arange(40.0).reshape(10, 4), name="rows.npy")
    columns = ("gaussian", "categorical:3", "gaussian", "ordinal:4")
    model = ModelConfig(likelihood="columns", columns=columns)
    counts = "2 gaussian, 1 categorical, 1 ordinal; each column is standardised inside the model"
    for asked, why in (
        ("auto", "because the data are a table of named columns"),
        ("columns", "as asked"),
    ):
        assert f"likelihood: columns, {why}: {counts}" in summary(data, model, asked=asked)


def test_everything_that_was_read_of_a_table_is_said():
    x = np.arange(40.0).reshape(10, 4) - 3
    x[:2, 0] = np.nan
    data = Dataset.from_arrays(x[:8], x[8:], y_train=["a"] * 8, y_test=["b"] * 2)
    found = lines(data, "gaussian", "gaussian")
    assert found[:3] == [
        "read: arrays (x_train 8, x_test 2): 10 rows of 4 values",
        "values: -2 to 36 as float32, 5 % missing; kept as real numbers",
        "labels: 2 classes: a, b",
    ]
    assert found[3] == "split: 8 for training, 2 for testing (its own)"
    assert found[4] == (
        "likelihood: gaussian, as asked; the values are real numbers; each value is standardised "
        "inside the model"
    )
    assert set(found[5].removeprefix("arrays: ").split(", ")) == {
        "x_train as rows",
        "x_test as test rows",
        "y_train as labels",
        "y_test as test labels",
    }


@pytest.mark.parametrize(
    ("shape", "standardise", "expected"),
    [
        ((4,), "auto", "; each value is standardised inside the model"),
        ((3, 2, 2), "auto", "; each channel is standardised inside the model"),
        ((3, 2, 2), "value", "; each value is standardised inside the model"),
        ((4,), "all", "; all values are standardised alike inside the model"),
        ((4,), "none", ""),
    ],
)
def test_what_the_model_standardises_is_said(shape: Any, standardise: Any, expected: str):
    data = Dataset.from_arrays(RANDOM.normal(size=(20, *shape)))
    model = ModelConfig(likelihood="gaussian", standardise=standardise)
    expected = f"likelihood: gaussian, because the values are real numbers{expected}"
    assert expected in summary(data, model, asked="auto")


@pytest.mark.parametrize(
    ("how", "made"),
    [
        ("threshold", "made 1 above 127.5, else 0"),
        ("dynamic", "made 0 or 1 at random at each visit, 1 with probability x / 255"),
        ("static", "made 0 or 1 at random once, 1 with probability x / 255"),
    ],
)
def test_what_is_made_of_grey_levels_is_said(how: Any, made: str):
    data = Dataset.from_arrays(GREY, config=DataConfig(binarisation=how))
    found = lines(data, "bernoulli")
    assert found[1] == f"values: 0 to 255 as uint8, none missing; {made}"
    assert found[4] == "likelihood: bernoulli, because the values are 0 and 1"


def test_mnist_is_described_too(mnist: Dataset):
    assert lines(mnist, "bernoulli")[:4] == [
        "read: mnist (train-images 60,000, t10k-images 10,000): 70,000 images of 1 × 28 × 28",
        "values: 0 to 255 as uint8, none missing; made 1 above 127.5, else 0",
        "labels: 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "split: 60,000 for training, 10,000 for testing (its own)",
    ]


def test_a_split_says_what_it_leaves_out():
    x = RANDOM.integers(0, 2, (20_005, 1), dtype=np.uint8)
    data = Dataset.from_arrays(x, x[:3], config=DataConfig(split="reference", validation=5))
    assert lines(data)[3] == (
        "split: 9,995 for training (the first 10,000 rows; 8 others are not used), 5 for "
        "validation (the last rows), 10,000 for testing (the second 10,000 rows)"
    )


def test_many_classes_are_shortened_and_groups_are_named():
    data = Dataset.from_arrays(GREY, y_train=np.arange(50) // 2, groups=np.arange(50) // 2)
    assert lines(data)[2] == "labels: 25 classes: 0, 1, 2, 3, 4, 5, …, 24"
    assert "(a tenth, drawn at random, whole groups, with the shares" in lines(data)[3]


def test_what_reading_found_is_said():
    data = Dataset.from_arrays(GREY, y_train=RANDOM.random(50))
    assert data.train.labels is None
    assert [line for line in lines(data) if line.startswith("note: ") and "y_train" in line]


def test_a_dataset_made_by_hand_is_described_by_its_parts():
    part = Part(torch.eye(3), None)
    data = Dataset(Identity("eyes", "", "none", "standard", 3), part, None, part)
    assert lines(data, "bernoulli") == [
        "read: eyes: 6 rows of 3 values",
        "labels: none",
        "split: 3 for training, 3 for testing",
        "likelihood: bernoulli, because the values are 0 and 1",
    ]


@pytest.mark.parametrize("memory", ["2", "0"])
def test_training_says_what_was_read_and_so_does_an_explanation(
    tmp_path: Path, elboroom: Command, memory: str
):
    np.save(tmp_path / "x.npy", (GREY > 127).astype("u1"))
    options = ["--data", tmp_path / "x.npy", "--memory", memory, "--hidden", 3, "--epochs", 1]
    options += ["--validation", 0]
    expected = [
        "read: x.npy: 50 images of 1 × 3 × 4",
        "values: 0 to 1 as uint8, none missing; kept as 0 and 1",
        "labels: none",
        "split: 45 for training, 5 for testing (a tenth, drawn at random)",
    ]
    trained = elboroom("train", *options, "--threads", 1, "--out", tmp_path / "run")
    assert trained.err.splitlines()[:4] == expected
    assert trained.err.splitlines()[4].startswith("likelihood: bernoulli")
    assert trained.out == ""
    explained = elboroom("train", *options, "--explain")
    assert explained.out.splitlines()[:4] == expected
    quiet = elboroom("train", *options, "--threads", 1, "--quiet", "--out", tmp_path / "quiet")
    assert quiet == (0, "", "")
