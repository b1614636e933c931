"""Columns of two values beside columns of real numbers."""

import numpy as np
import pytest

from elboroom import Dataset
from elboroom.data.column_notes import column_notes
from elboroom.data.source import Source, SourcePart

RNG = np.random.default_rng(0)


def notes(x: np.ndarray) -> list[str]:
    found = column_notes(Source("t", SourcePart(x)))
    return [note for note in found if note.startswith("only two values")]


def reals(rows: int = 60) -> np.ndarray:
    return RNG.normal(size=(rows, 3)).astype("f4")


def bits(rows: int = 60) -> np.ndarray:
    return np.eye(4, dtype="f4")[np.arange(rows) % 4]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("codes", [(0, 1), (1, 2), (-1, 1)])
def test_categories_beside_reals_are_named(missing: bool, codes: tuple[int, int]):
    x = np.c_[reals(), np.where(bits() > 0, *codes[::-1]).astype("f4")]
    if missing:
        x[RNG.random(x.shape) < 0.2] = np.nan
    expected = (
        "only two values stand in column 3 and 3 others, beside real numbers: all columns have one "
        "likelihood, which takes these as real numbers too"
    )
    assert notes(x) == [expected]
    reading = Dataset.from_arrays(x).reading
    assert reading is not None
    assert expected in reading.notes


@pytest.mark.parametrize(
    "x",
    [
        reals(),
        bits(),
        np.c_[reals(), np.zeros((60, 2), "f4")],
        np.c_[reals(), 2 * bits() + reals()[:, :1].round()],
        np.full((60, 3), np.nan, "f4"),
        bits().astype("u1"),
        bits().reshape(15, 4, 4),
    ],
)
def test_other_values_are_not(x: np.ndarray):
    assert notes(x) == []
