import math
from dataclasses import replace
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
from elboroom.data.splits import Division, divide, draw_stratified
from elboroom.errors import DataError, IncomparableError


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


def stratified(
    labels: np.ndarray | None, groups: np.ndarray | None = None, *, rows: int = 0, **options: Any
) -> Division:
    """Divide numbered rows that have labels, groups or neither."""
    count = rows if labels is None else len(labels)
    part = SourcePart(np.arange(count)[:, None], labels, groups=groups)
    return divide(Source("own", part), DataConfig("own", split="stratified", **options))


def parts_of(division: Division) -> list[Rows]:
    found = (division.train, division.validation, division.test)
    return [part for part in found if part is not None]


@given(st.lists(st.integers(0, 4), min_size=4, max_size=300), st.integers(0, 2))
def test_each_class_has_its_share_of_a_drawn_part(classes: list[int], validation: int):
    labels = np.array(classes)
    division = stratified(labels, validation=validation * len(labels) // 8)
    rows = np.concatenate([part.index for part in parts_of(division)])
    assert sorted(rows) == list(range(len(labels)))
    assert len(division.test) == max(1, round(len(labels) / 10))
    for name in set(classes):
        expected = (labels == name).sum() * len(division.test) / len(labels)
        assert abs((labels[division.test.index] == name).sum() - expected) < 1
    if division.validation is not None:
        assert len(division.validation) == validation * len(labels) // 8
        left = np.setdiff1d(np.arange(len(labels)), division.test.index)
        for name in set(classes):
            expected = (labels[left] == name).mean() * len(division.validation)
            assert abs((labels[division.validation.index] == name).sum() - expected) < 1


def test_rows_sorted_by_class_give_a_validation_part_of_all_classes():
    labels = np.repeat([0, 1, 2], 100)
    division = stratified(labels, validation=80)
    assert division.validation is not None
    for rows, counts in (
        (division.test, {10}),
        (division.validation, {26, 27}),
        (division.train, {63, 64}),
    ):
        assert {*np.bincount(labels[rows.index], minlength=3).tolist()} <= counts


@pytest.mark.parametrize("rows", [100, 101, 1_000])
def test_rows_without_classes_are_drawn_from_everywhere(rows: int):
    division = stratified(None, rows=rows, validation=rows // 5)
    for part in parts_of(division)[1:]:
        mean, count = part.index.mean(), len(part)
        error = math.sqrt((rows**2 - 1) / 12 * (1 - count / rows) / count)
        assert abs(mean - (rows - 1) / 2) < 3 * error
        steps = np.diff(part.index)
        assert len(np.unique(steps)) > 1, "every n-th row is no random draw"


def test_every_row_is_drawn_as_often_as_another():
    labels = np.array([0] * 30 + [1] * 5 + [2])
    draws = np.array([np.isin(np.arange(36), drawn(labels, draw)) for draw in range(600)])
    assert (draws.sum(1) == 9).all()
    error = math.sqrt(0.25 * 0.75 / 600)
    np.testing.assert_allclose(draws.mean(0), 0.25, atol=4 * error)


def drawn(labels: np.ndarray, draw: int) -> np.ndarray:
    rows = Rows.of(SourcePart(labels[:, None], labels))
    return draw_stratified(rows, 9, draw)[1].index


def test_the_rows_drawn_by_classes_are_the_same_everywhere_and_forever():
    division = stratified(np.arange(40) % 3, validation=4)
    assert division.validation is not None
    assert division.test.index.tolist() == [2, 11, 24, 34]
    assert division.validation.index.tolist() == [1, 3, 29, 37]
    assert division.digest == "21b0615e2ac69d2d"


def test_the_rows_of_a_group_stay_in_one_part():
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 7))
    division = stratified(groups % 3, groups, validation=42)
    sets = [set(groups[part.index].tolist()) for part in parts_of(division)]
    assert [len(found) for found in sets] == [21, 6, 3]
    assert set.union(*sets) == set(range(30))
    assert sum(map(len, sets)) == 30
    for found in sets[1:]:  # a class is that of a group
        assert np.bincount([group % 3 for group in found]).tolist() == [len(found) // 3] * 3


def test_one_large_group_among_many_leaves_rows_on_both_sides():
    groups = np.array([0] * 96 + [1, 2, 3, 4])
    division = stratified(None, groups, rows=100)
    assert len(division.train) + len(division.test) == 100
    assert min(len(division.train), len(division.test)) >= 1


@pytest.mark.parametrize("form", ["file", "array"])
def test_groups_are_named_by_an_array_or_a_file(tmp_path: Path, form: str):
    x = np.random.default_rng(0).random((60, 3))
    subject = np.array([f"p{n // 6}" for n in range(60)])
    np.save(tmp_path / "subject.npy", subject)
    arrays = {"x": x} | ({"subject": subject} if form == "array" else {})
    np.savez(tmp_path / "x.npz", **arrays)
    group_by = "subject" if form == "array" else str(tmp_path / "subject.npy")
    data = load_data(DataConfig(str(tmp_path / "x.npz"), group_by=group_by, validation=12))
    assert [len(part) for part in data.parts.values()] == [42, 12, 6]
    for part in data.parts.values():
        assert sorted(np.flatnonzero(np.isin(subject, subject[part.numbers]))) == [*part.numbers]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"group_by": "subject"}, "x.npz has no groups subject"),
        ({"group_by": "nowhere.npy"}, "cannot read the groups nowhere.npy"),
        ({"group_by": "short.npy"}, "the groups short.npy do not fit the training rows"),
        ({"group_by": "nan.npy"}, "the groups nan.npy do not fit the training rows"),
        ({"group_by": "same.npy"}, "one group cannot be split"),
        ({"group_by": "two.npy", "split": "standard"}, "--group-by cannot be used with --split"),
    ],
)
def test_groups_that_cannot_be_kept_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], what: str
):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x=np.random.default_rng(0).random((20, 3)))
    np.save("short.npy", np.arange(19))
    np.save("nan.npy", np.full(20, np.nan))
    np.save("same.npy", np.zeros(20))
    np.save("two.npy", np.arange(20) % 2)
    with pytest.raises(DataError, match="^" + what):
        load_data(DataConfig("x.npz", **options))


def test_groups_of_mnist_are_refused():
    with pytest.raises(DataError, match=r"^mnist has no groups subject"):
        load_data(DataConfig(group_by="subject"))


def test_a_group_in_two_parts_of_the_source_is_refused():
    train = SourcePart(np.zeros((4, 1)), groups=np.array([0, 0, 1, 1]))
    test = SourcePart(np.zeros((2, 1)), groups=np.array([1, 2]))
    with pytest.raises(DataError, match=r"^--group-by names groups that are in two parts"):
        divide(Source("own", train, test=test), DataConfig("own", split="stratified"))


def test_the_parts_of_a_source_are_taken_as_they_are():
    source = Source(
        "own",
        SourcePart(np.arange(6)[:, None]),
        SourcePart(np.arange(6, 8)[:, None]),
        SourcePart(np.arange(8, 12)[:, None]),
    )
    for name in ("stratified", "standard"):
        division = divide(source, DataConfig("own", split=name))
        assert [numbers(part).tolist() for part in parts_of(division)] == [
            *([0, 1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11])
        ]
        assert division.digest is None
    with pytest.raises(DataError, match=r"^--validation 2 asks for a second validation part"):
        divide(source, DataConfig("own", split="stratified", validation=2))


def test_auto_is_the_standard_split_of_mnist_and_the_stratified_one_of_other_data():
    assert DataConfig().resolved() == DataConfig(binarisation="threshold", split="standard")
    own = DataConfig("my.npz")
    assert own.resolved() == replace(own, binarisation="none", split="stratified")
    asked = DataConfig("my.npz", "dynamic", "reference")
    assert asked.resolved() == asked


def test_a_path_from_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = DataConfig("~/x.npy", group_by="~/who.npy").with_absolute_path()
    home = tmp_path.resolve()
    assert (config.source, config.group_by) == (str(home / "x.npy"), str(home / "who.npy"))
    assert DataConfig("x.npz", group_by="who").with_absolute_path().group_by == "who"
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((20, 3)))
    np.save(tmp_path / "who.npy", np.arange(20))
    assert len(load_data(DataConfig("~/x.npy", group_by="~/who.npy")).train) == 18


def test_other_labels_are_other_parts_of_the_same_values(tmp_path: Path):
    x = np.random.default_rng(0).random((60, 3))
    identities = []
    for labels in (np.arange(60) % 2, np.arange(60) // 30):
        np.savez(tmp_path / "x.npz", x=x, y=labels)
        identities.append(load_data(DataConfig(str(tmp_path / "x.npz"))).identity)
    assert identities[0].sha256 == identities[1].sha256
    with pytest.raises(IncomparableError, match="drawn_rows"):
        identities[0].require_same(identities[1])


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
