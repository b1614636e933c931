"""Labels in any usual form are positions among named classes."""

from typing import Any

import numpy as np
import pytest

from elboroom.data.labels import (
    NotClassesError,
    RawLabels,
    in_natural_order,
    read_labels,
    read_labels_of_parts,
)
from elboroom.errors import DataError

INTEGERS = [7, 9, 7, 12]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(INTEGERS, np.uint8), ("7", "9", "12")),
        (np.array(INTEGERS, np.int64)[:, None], ("7", "9", "12")),
        (np.array(INTEGERS)[None], ("7", "9", "12")),
        (np.array(INTEGERS, np.float32), ("7", "9", "12")),
        (np.array(INTEGERS, object), ("7", "9", "12")),
        (np.array(["cat", "dog", "cat", "eel"]), ("cat", "dog", "eel")),
        (np.array([b"cat", b"dog", b"cat", b"eel"]), ("cat", "dog", "eel")),
        (np.array(["cat", "dog", "cat", "eel"], object), ("cat", "dog", "eel")),
        (np.array([["cat"], ["dog"], ["cat"], ["eel"]]), ("cat", "dog", "eel")),
        (np.array(["a2", "a10", "a2", "b"]), ("a2", "a10", "b")),
        (np.eye(3)[[0, 1, 0, 2]], ("0", "1", "2")),
        (np.eye(9, dtype=bool)[[3, 5, 3, 8]], ("3", "5", "8")),
        (np.array([-1, 0, -1, 4]), ("-1", "0", "4")),
        (np.array([1.0, 2.0, 1.0, np.nan]), ("1", "2", "unlabelled")),
        (np.array([1, 2, 1, None], object), ("1", "2", "unlabelled")),
        (np.array(["u", "v", "u", None], object), ("u", "v", "unlabelled")),
        (np.array(["u", "v", "u", np.nan], object), ("u", "v", "unlabelled")),
    ],
    ids=str,
)
def test_every_usual_form_is_read(labels: np.ndarray, classes: tuple[str, ...]):
    positions, found = read_labels(labels, 4, "y")
    assert (positions.dtype, positions.tolist()) == (np.int64, [0, 1, 0, 2])
    assert found == classes


def test_booleans_are_two_classes():
    positions, classes = read_labels(np.array([True, False]), 2, "y")
    assert (positions.tolist(), classes) == ([1, 0], ("False", "True"))


@pytest.mark.parametrize("shape", [(3,), (5,), (), (4, 0), (4, 2, 2), (2, 2)])
def test_another_number_of_labels_is_refused(shape: tuple[int, ...]):
    with pytest.raises(DataError) as error:
        read_labels(np.zeros(shape, int), 4, "y_test")
    assert not isinstance(error.value, NotClassesError)
    assert error.value.what == "the labels y_test do not fit the rows"
    assert error.value.why == f"found int64 of shape {shape}; expected 4 labels"
    assert error.value.fix.endswith("--unused y_test")


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (np.array([1.0, 0.5]), "0.5, which is not a whole number"),
        (np.array([1.0, np.inf]), "inf, which is not a whole number"),
        (np.array([1e300, 1.0]), "1e+300, which is not a whole number"),
        (np.array([1j, 2]), "complex128 of shape (2,)"),
        (np.array([[0, 1], [1, 1]]), "int64 of shape (2, 2) that is not one-hot"),
        (np.array([[0.3, 0.7], [1, 0]]), "float64 of shape (2, 2) that is not one-hot"),
        (np.array([["a", "b"], ["c", "d"]]), "<U1 of shape (2, 2) that is not one-hot"),
        (np.array([{}, []], object), "objects of type dict"),
        (np.array([2**64 - 1, 0], np.uint64), "18446744073709551615, which is beyond int64"),
    ],
    ids=str,
)
def test_labels_that_are_no_classes_are_named(labels: np.ndarray, found: str):
    with pytest.raises(NotClassesError) as error:
        read_labels(labels, 2, "y")
    assert error.value.why == f"found {found}; expected integers, strings, or one-hot rows"


def of_parts(*parts: Any, names: Any = None) -> tuple[list[list[int]], tuple[str, ...]]:
    raw = [RawLabels(np.array(part), len(part), f"y{n}") for n, part in enumerate(parts)]
    positions, classes = read_labels_of_parts(raw, names)
    return [found.tolist() for found in positions], classes


def test_parts_share_their_classes():
    assert of_parts([5, 3], [4, 3, 5]) == ([[2, 0], [1, 0, 2]], ("3", "4", "5"))
    assert of_parts([1, 2], [2.0, np.nan]) == ([[0, 1], [1, 2]], ("1", "2", "unlabelled"))
    assert of_parts(["b"], ["a", "c"]) == ([[1], [0, 2]], ("a", "b", "c"))


def test_parts_of_unlike_kinds_are_refused():
    with pytest.raises(DataError) as error:
        of_parts([1, 2], ["a"])
    assert error.value.why == "y0 has int64 of shape (2,); y1 has <U1 of shape (1,)"


def test_names_of_classes_are_counted_from_0():
    names = np.array(["cat", "dog", "eel"])
    assert of_parts([2, 0], [1], names=names) == ([[2, 0], [1]], ("cat", "dog", "eel"))
    for wrong in ([3], [-1], ["cat"]):
        with pytest.raises(DataError, match="not positions among 3 names"):
            of_parts(wrong, names=names)


def test_twenty_thousand_classes_are_read_at_once():
    labels = np.random.default_rng(0).permutation(20_000)
    positions, classes = read_labels(labels.astype(str), 20_000, "id")
    assert classes[:11] == tuple(map(str, range(11)))
    np.testing.assert_array_equal(positions, labels)


def test_numbers_in_names_count_as_numbers():
    names = ["12", "1", "2", "b", "a10", "a9", "", "10"]
    assert in_natural_order(names) == ["", "1", "2", "10", "12", "a9", "a10", "b"]
