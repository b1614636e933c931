"""The weights of several models of one table."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from elboroom.imputation.stacking import stacked
from tests.support.oracles import assert_rejected


def densities(rows: int, seed: int = 0) -> Tensor:
    """Return log densities of three models, of which the second explains most data."""
    found = torch.randn(3, rows, generator=torch.Generator().manual_seed(seed)).double()
    return found + torch.tensor([[0.0], [1.0], [-0.5]])


def penalised(weights: np.ndarray, log_densities: np.ndarray) -> float:
    mixture = np.log(np.exp(log_densities).T @ weights).sum()
    return mixture + 4.0 * np.log(weights).sum()


def test_the_weights_maximise_the_score_of_the_mixture():
    """They are those of a general optimiser over the simplex, in its softmax coordinates."""
    given = densities(500).numpy()

    def loss(logits: np.ndarray) -> float:
        weights = np.exp(logits) / np.exp(logits).sum()
        return -penalised(weights, given)

    best = minimize(loss, np.zeros(3), method="BFGS").x
    expected = np.exp(best) / np.exp(best).sum()

    def check(log_densities: Tensor) -> None:
        assert stacked(log_densities).numpy() == pytest.approx(expected, abs=1e-3)

    check(densities(500))
    assert_rejected(lambda: check(densities(500).flip(0)))


def test_one_model_has_all_the_weight():
    assert stacked(densities(50)[:1]).tolist() == [1.0]


def test_few_data_do_not_exclude_a_model():
    log_densities = torch.tensor([[0.0] * 10, [-1.0] * 10])
    assert stacked(log_densities)[1] > 0.2


def test_many_data_exclude_a_model_that_never_helps():
    log_densities = torch.stack([torch.zeros(5_000), torch.full((5_000,), -20.0)])
    weights = stacked(log_densities)
    assert weights.tolist() == [1.0, 0.0]


def test_without_data_the_weights_are_equal():
    assert stacked(torch.zeros(4, 0)).tolist() == [0.25] * 4
