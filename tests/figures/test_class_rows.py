"""Rows by class: default pairs of the classes there are, and names with hyphens."""

import numpy as np
import pytest
import torch

from elboroom.data import Part
from elboroom.errors import NotDrawableError, UsageError
from elboroom.figures.class_rows import first_rows, rows_of_distinct_classes, rows_of_pairs


def part(labels, classes=None, rows=None):
    count = len(labels) if labels is not None else rows
    found = None if labels is None else torch.tensor(labels)
    numbers = 100 + np.arange(count)
    return Part(torch.zeros(count, 1, 2, 2), found, classes=classes, source_rows=numbers)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (range(10), None, [("1", "2"), ("3", "8"), ("4", "5")]),
        ([0, 1, 0], ("cat", "dog"), [("cat", "dog")]),
        ([2, 0, 1, 3], tuple("abcd"), [("a", "b"), ("b", "c"), ("c", "d")]),
        ([5, 1, 2, 7, 9, 6, 0], None, [("0", "1"), ("2", "5"), ("6", "7")]),
        ([-1, 1, 1], None, [("-1", "1")]),
        ([1, 3], ("1", "2", "3", "11"), [("2", "11")]),
        (range(1000), None, [("1", "2"), ("3", "8"), ("4", "5")]),
    ],
)
def test_default_pairs_are_of_the_classes_that_are_there(labels, classes, expected):
    shown = part([*labels], classes)
    rows, pairs = rows_of_pairs(shown, "test", None)
    assert pairs == expected
    firsts = first_rows(shown)
    starts, ends = rows[: len(pairs)], rows[len(pairs) :]
    assert [(firsts[a], firsts[b]) for a, b in pairs] == [*zip(starts, ends, strict=True)]


@pytest.mark.parametrize("labels", [None, [4] * 7])
def test_without_two_classes_pairs_are_of_rows_by_their_numbers(labels):
    rows, pairs = rows_of_pairs(part(labels, rows=7), "test", None)
    assert rows == [0, 1, 2, 3, 4, 5]
    assert pairs == [("#100", "#103"), ("#101", "#104"), ("#102", "#105")]
    assert rows_of_pairs(part(None, rows=3), "test", None)[0] == [0, 1]


def test_one_row_has_no_pair():
    with pytest.raises(NotDrawableError, match="needs two images"):
        rows_of_pairs(part(None, rows=1), "test", None)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("cat-dog", ("cat", "dog")),
        ("T-shirt-dog", ("T-shirt", "dog")),
        ("dog-T-shirt", ("dog", "T-shirt")),
        ("T-shirt-T-shirt", ("T-shirt", "T-shirt")),
        ("-1-cat", ("-1", "cat")),
        ("cat--1", ("cat", "-1")),
        ("T-shirt", ("T", "shirt")),
    ],
)
def test_a_pair_is_split_at_the_first_hyphen_between_two_classes(pair, expected):
    classes = ("cat", "dog", "T-shirt", "-1", "T", "shirt")
    rows, pairs = rows_of_pairs(part([*range(6)], classes), "test", (pair,))
    assert pairs == [expected]
    assert rows == [classes.index(name) for name in expected]


@pytest.mark.parametrize("pair", ["cat-cow", "cow-cat"])
def test_a_class_that_the_part_lacks_is_refused_by_name(pair):
    with pytest.raises(UsageError, match="no train image has class cow") as error:
        rows_of_pairs(part([0, 1], ("cat", "dog", "cow")), "train", (pair,))
    assert error.value.why == "the classes are cat, dog"
    assert not isinstance(error.value, NotDrawableError)


def test_pairs_of_data_without_labels_are_refused():
    with pytest.raises(UsageError) as error:
        rows_of_pairs(part(None, rows=9), "test", ("1-2",))
    assert error.value.why == "the data have no labels"


def test_an_error_lists_few_of_many_classes():
    with pytest.raises(UsageError) as error:
        rows_of_pairs(part([*range(500)]), "test", ("1-900",))
    assert error.value.why.endswith("18, 19, …")


def test_shown_rows_are_the_first_of_each_class_then_others():
    assert rows_of_distinct_classes(part([1, 1, 0, 1, 2]), 4) == [2, 0, 4, 1]
    assert rows_of_distinct_classes(part([1, 1, 0, 1, 2]), 2) == [2, 0]
    assert rows_of_distinct_classes(part(None, rows=2), 8) == [0, 1]
    assert rows_of_distinct_classes(part([7, 7]), 8) == [0, 1]


def test_rows_beyond_the_classes_are_spread_evenly():
    assert rows_of_distinct_classes(part(None, rows=100), 5) == [0, 20, 40, 60, 80]
    assert rows_of_distinct_classes(part(None, rows=3), 5) == [0, 1, 2]
    assert rows_of_distinct_classes(part([3] * 50 + [4] * 50), 4) == [0, 50, 25, 75]
    assert rows_of_pairs(part(None, rows=60), "test", None)[0] == [0, 10, 20, 30, 40, 50]
