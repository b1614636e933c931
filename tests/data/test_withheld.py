"""Entries that are withheld from training, in place of rows."""

import numpy as np
import pytest
import torch

from elboroom.config import DataConfig
from elboroom.data import Dataset
from elboroom.data.withheld import WithheldEntries
from elboroom.errors import UsageError
from tests.support.oracles import assert_rejected

SHARE = 0.2


def table(rows: int = 400, columns: int = 10) -> np.ndarray:
    """Return reals, a quarter of them missing, and one row of which one value is known."""
    noise = np.random.default_rng(0)
    x = noise.normal(size=(rows, columns)).astype("f4")
    x[noise.random(x.shape) < 0.25] = np.nan
    x[0], x[1] = np.nan, noise.normal(size=columns)
    x[0, 3] = 1.5
    return x


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset.from_arrays(table(), config=DataConfig(withhold=SHARE))


def test_each_part_has_every_row(data: Dataset):
    assert [len(part) for part in data.parts.values()] == [400] * 3
    assert list(data.train.numbers) == list(data.test.numbers) == list(range(400))


def test_the_halves_are_disjoint_and_known(data: Dataset):
    x = torch.from_numpy(table())
    validation, test = data.validation.withheld, data.test.withheld
    assert not (validation & test).any()
    assert not ((validation | test) & x.isnan()).any()


def test_training_sees_no_withheld_entry_and_validation_none_of_the_test(data: Dataset):
    x = torch.from_numpy(table())
    validation, test = data.validation.withheld, data.test.withheld
    assert torch.equal(data.train.x.isnan(), x.isnan() | validation | test)
    assert torch.equal(data.validation.x.isnan(), x.isnan() | test)
    assert torch.equal(data.test.x.nan_to_num(9.0), x.nan_to_num(9.0))


def test_the_share_is_the_one_asked_for():
    """A half is binomial with half the share, in each column: within 5 standard deviations."""

    def check(share: float) -> None:
        known = torch.ones(4_000, 10, dtype=torch.bool)
        drawn = WithheldEntries.draw(known, share)
        for half in (drawn.validation, drawn.test):
            p, n = SHARE / 2, len(known)
            assert (half.sum(0) - p * n).abs().max() <= 5 * (p * (1 - p) * n) ** 0.5

    check(SHARE)
    assert_rejected(lambda: check(0.8 * SHARE))


def test_every_row_keeps_an_entry():
    known = torch.rand(2_000, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    known[:, 0] |= ~known.any(1)
    drawn = WithheldEntries.draw(known, 0.98)
    assert (known & ~drawn.validation & ~drawn.test).any(1).all()


def test_the_same_entries_are_withheld_again(data: Dataset):
    again = Dataset.from_arrays(table(), config=DataConfig(withhold=SHARE))
    assert torch.equal(again.test.withheld, data.test.withheld)
    again.identity.require_same(data.identity)


def test_another_share_is_another_identity(data: Dataset):
    other = Dataset.from_arrays(table(), config=DataConfig(withhold=0.1))
    assert other.identity.drawn_rows != data.identity.drawn_rows


def test_rows_of_a_part_keep_their_withheld_entries(data: Dataset):
    assert torch.equal(data.test.rows([5, 2]).withheld, data.test.withheld[[5, 2]])


def test_all_is_every_row_once_with_all_that_is_known(data: Dataset):
    rows = data.part("all")
    assert rows.withheld is None
    assert len(rows) == 400
    assert torch.equal(rows.x.isnan(), torch.from_numpy(table()).isnan())


def test_training_is_watched_by_the_withheld_entries(data: Dataset):
    assert data.watched_by == "log p(withheld | seen)"
    assert Dataset.from_arrays(table()).watched_by == "test ELBO"


@pytest.mark.parametrize(
    ("arrays", "options", "found"),
    [
        ({"x_test": table()}, {}, "held-out parts"),
        ({}, {"validation": 20}, "--validation"),
        ({}, {"binarisation": "threshold"}, "--binarisation threshold"),
    ],
)
def test_rows_that_are_held_out_as_well_are_refused(arrays: dict, options: dict, found: str):
    x = table() if "binarisation" not in options else np.abs(table()).clip(0, 1)
    with pytest.raises(UsageError, match=found):
        Dataset.from_arrays(x, **arrays, config=DataConfig(withhold=SHARE, **options))


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_0_and_1_is_refused(share: float):
    with pytest.raises(UsageError, match="withhold"):
        DataConfig(withhold=share)
