"""Rows in other units than those to train on are told, and rows like them never are."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from elboroom import DataConfig, Dataset
from elboroom.data.typical_values import TypicalValues

RANDOM = np.random.default_rng(0)
CELSIUS = RANDOM.normal(15, 8, (400, 1))
TABLE = np.hstack([CELSIUS, RANDOM.normal(size=(400, 2)), RANDOM.lognormal(0, 3, (400, 1))])
FAHRENHEIT = np.hstack([1.8 * CELSIUS + 32, TABLE[:, 1:]])
SHIFT = np.array([0, 0, 9, 0])
GREY = RANDOM.integers(0, 200, (300, 4, 4), dtype=np.uint8)


def differences(train: np.ndarray, new: np.ndarray) -> list[str]:
    data = Dataset.from_arrays(train, new)
    return TypicalValues.of(data.train).differences(data.test)


@pytest.mark.parametrize(
    ("train", "new", "told"),
    [
        (TABLE, 1000 * TABLE[:40, :], ["in columns 0, 1, 2 most rows are outside 98 %"]),
        (TABLE, FAHRENHEIT[:40], ["in column 0 most rows are outside 98 %"]),
        (FAHRENHEIT, TABLE[:40], ["in column 0 most rows are outside 98 %"]),
        (TABLE, TABLE[:40] + SHIFT, ["in column 2 most rows are outside 98 %"]),
        (TABLE[:20], TABLE[:15] + SHIFT, ["in column 2 most rows are outside 98 %"]),
        (TABLE[:, :3], TABLE[:40, :3] / 1000, ["in columns 0, 1, 2 most rows are within the same"]),
        (np.where(TABLE < -1, np.nan, TABLE), FAHRENHEIT[:40], ["in column 0 most rows"]),
        (GREY / 255, GREY[:40] / 255 / 255, ["in channel 0 most images are outside 98 %"]),
        (GREY, 255 - GREY[:40], ["in channel 0 most images are outside 98 %"]),
    ],
)
def test_columns_in_other_units_are_named(train: np.ndarray, new: np.ndarray, told: list[str]):
    found = differences(train, new)
    assert len(found) == len(told)
    assert all(words.startswith(start) for words, start in zip(found, told, strict=True))


def test_the_ranges_of_the_first_column_and_the_number_of_others_are_stated():
    train = np.arange(600.0).reshape(100, 6) + RANDOM.random((100, 6))
    new = np.linspace(1e4, 2e4, 60).reshape(10, 6)
    assert differences(train, new) == [
        "in columns 0, 1, 2, 3 and 2 more most rows are outside 98 % of the training rows "
        f"(column 0: 1e+04 to 1.92e+04; there {train[0, 0]:.3g} to {train[-1, 0]:.3g})"
    ]


VALUES: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda die, shape: die.normal(size=shape),
    "lognormal": lambda die, shape: die.lognormal(0, 5, shape),
    "cauchy": lambda die, shape: die.standard_cauchy(shape),
    "counts": lambda die, shape: die.poisson(0.3, shape),
    "mostly zero": lambda die, shape: np.where(die.random(shape) < 0.8, 0, die.random(shape)),
    "two values": lambda die, shape: die.integers(0, 2, shape),
}


@pytest.mark.parametrize("values", VALUES)
def test_rows_of_the_same_distribution_are_never_told(values: str):
    die = np.random.default_rng(1)
    for _ in range(10):
        train, test = die.integers(12, 200, 2)
        x = VALUES[values](die, (train + test, 4)).astype("f4")
        x[die.random(x.shape) < 0.1] = np.nan
        assert differences(x[:train], x[train:]) == []


def test_quantiles_are_values_of_the_rows_and_skip_missing_ones():
    x = np.arange(1.0, 100.0)[:, None] * [1, -1, 1]
    x[:, 2] = np.where(x[:, 2] > 9, np.nan, x[:, 2])
    usual = TypicalValues.of(Dataset.from_arrays(x, x).train)
    assert usual.known.tolist() == [99, 99, 9]
    assert usual.quantiles[:, 0].tolist() == [1, *range(5, 100, 5), 99]
    assert usual.quantiles[:, 1].tolist() == [-99, *range(-95, 0, 5), -1]
    assert usual.quantiles[[0, 10, -1], 2].tolist() == [1, 5, 9]


def test_grey_levels_drawn_at_each_visit_are_compared_as_drawn():
    grey = RANDOM.random((80, 5))
    data = Dataset.from_arrays(grey, grey[:60], config=DataConfig(binarisation="dynamic"))
    usual = TypicalValues.of(data.train)
    assert set(np.unique(usual.quantiles)) == {0.0, 1.0}
    assert usual.differences(data.test) == []
    unknown = replace(data.test, images=np.nan * data.test.images)
    assert usual.differences(unknown) == []


def test_a_part_of_its_own_in_other_units_is_noted():
    arrays = {"x_validation": TABLE[:30], "x_test": FAHRENHEIT[:40]}
    reading = Dataset.from_arrays(TABLE, **arrays).reading
    assert reading is not None
    assert [note[:71] for note in reading.notes if "units" in note] == [
        "the test part may be in other units than the training part: in column 0"
    ]
