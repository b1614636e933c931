from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elboroom import DataConfig, Dataset, load_data, load_mnist
from elboroom.data.mnist import read_mnist
from elboroom.data.rows import Rows
from elboroom.data.source import Source, SourcePart
from elboroom.data.splits import divide
from elboroom.errors import DataError


def numbered(count: int, tests: int = 0) -> Source:
    """Image i holds i, and so does its label; test images are negative."""
    rows, others = np.arange(count), -1 - np.arange(tests)
    return Source(
        name="numbered",
        train=SourcePart(rows[:, None], rows),
        test=SourcePart(others[:, None], others) if tests else None,
    )


def split(source: Source, name: Any) -> tuple[Rows, Rows]:
    """Return the training and the test rows of a source."""
    division = divide(source, DataConfig("numbered", split=name))
    return division.train, division.test


def numbers(rows: Rows) -> np.ndarray:
    """Return the numbers of some numbered images."""
    return rows.part.images[rows.index, 0]


def test_the_standard_split_of_mnist_is_60000_and_10000(mnist: Dataset):
    assert (len(mnist.train), mnist.validation, len(mnist.test)) == (60_000, None, 10_000)
    assert mnist.event_shape == (1, 28, 28)


def test_mnist_brings_the_labels_of_its_images(mnist: Dataset):
    assert mnist.train.labels is not None
    assert mnist.test.labels is not None
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert mnist.test.labels.bincount().tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


def test_the_reference_split_is_the_first_and_the_next_10000_rows_of_train(mnist: Dataset):
    reference = load_mnist(split="reference")
    assert torch.equal(reference.train.images, mnist.train.images[:10_000])
    assert torch.equal(reference.test.images, mnist.train.images[10_000:20_000])
    assert reference.test.labels is not None
    assert mnist.train.labels is not None
    assert torch.equal(reference.test.labels, mnist.train.labels[10_000:20_000])


def test_validation_is_taken_from_the_end_of_train(mnist: Dataset):
    part = load_mnist(validation=5_000)
    assert part.validation is not None
    assert torch.equal(part.train.images, mnist.train.images[:55_000])
    assert torch.equal(part.validation.images, mnist.train.images[55_000:])
    assert torch.equal(part.test.images, mnist.test.images)


def test_training_is_watched_by_validation_where_there_is_one_else_by_test(mnist: Dataset):
    part = load_mnist(split="reference", validation=10)
    assert (part.held_out[0], len(part.held_out[1])) == ("validation", 10)
    assert (mnist.held_out[0], len(mnist.held_out[1])) == ("test", 10_000)


@pytest.mark.parametrize("count", [270, 300])
def test_validation_that_leaves_nothing_to_train_on_is_refused(digits: Path, count: int):
    with pytest.raises(DataError) as error:
        load_data(DataConfig(source=str(digits), validation=count))
    assert str(error.value) == (
        f"--validation {count} leaves nothing to train on\n"
        "  why: the training part has 270 rows\n"
        "  fix: take fewer than 270"
    )


def test_validation_may_leave_one_image_to_train_on(digits: Path):
    assert len(load_data(DataConfig(source=str(digits), validation=269)).train) == 1


@pytest.mark.parametrize("count", [1, 19_999])
def test_data_too_small_for_the_reference_split_is_refused(count: int):
    with pytest.raises(DataError) as error:
        split(numbered(count), "reference")
    assert str(error.value) == (
        "this data is too small for the reference split\n"
        f"  why: found {count:,} training rows; the split needs 20,000\n"
        "  fix: use --split auto"
    )


def test_20000_rows_are_enough_for_the_reference_split():
    train, test = split(numbered(20_000), "reference")
    np.testing.assert_array_equal(train.labels, np.arange(10_000))
    np.testing.assert_array_equal(test.labels, np.arange(10_000, 20_000))


def test_a_source_with_a_test_part_is_split_as_it_is():
    train, test = split(numbered(5, tests=2), "standard")
    assert numbers(train).tolist() == [0, 1, 2, 3, 4]
    assert numbers(test).tolist() == [-1, -2]
    assert test.labels is not None
    assert test.labels.tolist() == [-1, -2]


@given(st.integers(2, 400))
def test_a_tenth_is_held_out_where_there_is_no_test_part(count: int):
    train, test = split(numbered(count), "standard")
    assert len(test) == max(1, round(count / 10))
    assert sorted([*numbers(train), *numbers(test)]) == list(range(count))


@given(st.integers(2, 400))
def test_labels_and_images_are_held_out_together(count: int):
    for part in split(numbered(count), "standard"):
        np.testing.assert_array_equal(numbers(part), part.labels)


def test_the_rows_held_out_are_the_same_everywhere_and_forever():
    test = split(numbered(40), "standard")[1]
    assert numbers(test).tolist() == [3, 11, 13, 14]


def test_one_image_cannot_be_split():
    with pytest.raises(DataError, match=r"^one row cannot be split\n  why: .+\n  fix: .+"):
        split(numbered(1), "standard")


def test_mnist_is_stored_as_grey_bytes():
    source = read_mnist()
    images = source.train.images
    assert (images.dtype, source.white, int(images.max())) == (
        np.uint8,
        255.0,
        255,
    )
