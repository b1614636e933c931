"""log p of rows, and the surprise of entries."""

import math

import numpy as np
import pytest
import torch

from elboroom.imputation.row_doubts import row_doubts
from elboroom.imputation.scores import RowScores, score_rows, surprises
from tests.imputation import tables
from tests.support.oracles import assert_rejected


@pytest.fixture(scope="module")
def gaussian() -> tables.Gaussian:
    return tables.Gaussian()


def test_log_prob_is_that_of_the_gaussian_under_any_gaps(gaussian: tables.Gaussian):
    """The posterior is exact, so every draw gives log p: float32 is the only error."""
    x = tables.with_gaps(gaussian.rows(80))
    given = tables.tensor(x)
    found = score_rows(tables.ensemble(gaussian.model()), given, ~given.isnan(), seed=0, draws=20)

    def check(expected: np.ndarray) -> None:
        assert found.log_prob.numpy() == pytest.approx(expected, abs=0.02)

    check(gaussian.log_prob(x))
    assert_rejected(lambda: check(gaussian.log_prob(np.where(np.isnan(x), 0.0, x))))
    assert found.standard_error.max() < 1e-2
    assert found.reliable.all()


def test_two_models_are_mixed_by_their_weights(gaussian: tables.Gaussian):
    other = gaussian.model()
    with torch.no_grad():
        other.likelihood.location += torch.from_numpy(gaussian.scale).float()
    x = tables.tensor(gaussian.rows(30))
    seen = ~x.isnan()
    single = [
        score_rows(tables.ensemble(m), x, seen, seed=0, draws=20).log_prob
        for m in (gaussian.model(), other)
    ]
    both = score_rows(tables.ensemble(gaussian.model(), other), x, seen, seed=0, draws=20).log_prob
    expected = torch.stack(single).logsumexp(0) - math.log(2)
    assert (both - expected).abs().max() < 0.02


def test_a_surprise_is_minus_log_p_of_an_entry_given_the_others(gaussian: tables.Gaussian):
    x = tables.with_gaps(gaussian.rows(40))
    given = tables.tensor(x)
    found = surprises(tables.ensemble(gaussian.model()), given, ~given.isnan(), seed=0)
    assert torch.equal(found.isnan(), given.isnan())
    for column in range(tables.COLUMNS):
        rows = ~np.isnan(x[:, column])
        without = x.copy()
        without[:, column] = np.nan
        expected = gaussian.log_prob(without)[rows] - gaussian.log_prob(x)[rows]
        error = found[torch.from_numpy(rows), column].numpy() - expected
        assert np.abs(np.median(error)) < 0.05  # each is of 200 draws
        assert np.abs(error).max() < 1.5


def test_a_planted_outlier_is_the_most_surprising_entry(gaussian: tables.Gaussian):
    x = tables.tensor(gaussian.rows(50))
    x[7, 3] += 8 * float(gaussian.scale[3])
    found = surprises(tables.ensemble(gaussian.model()), x, ~x.isnan(), seed=0)
    baseline = found.median(0).values
    assert int((found - baseline).flatten().argmax()) == 7 * tables.COLUMNS + 3


def test_rows_with_gaps_that_are_far_unreliable_or_empty_are_doubted():
    seen = torch.ones(40, 4, dtype=torch.bool)
    seen[:, 0] = False
    seen[3] = True  # no gap: nothing is filled in
    seen[9] = False
    log_prob = torch.linspace(-1, 1, 40)
    log_prob[[3, 5]] = -60.0
    k_hat = torch.zeros(40)
    k_hat[12] = 0.9
    doubts = row_doubts(RowScores(log_prob, torch.zeros(40), k_hat), seen)
    assert list(doubts) == [5, 9, 12]
    assert "unlike" in doubts[5]
    assert "nothing is known" in doubts[9]
    assert "heavy tail" in doubts[12]
