"""ELBO, IWAE and Rényi bound of log weights: `elboroom.model.bounds`."""

import math

import pytest
import torch
from torch import Tensor

from elboroom.model.bounds import elbo, iwae, renyi
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

Problem = tuple[LinearGaussian, Tensor, Tensor, Tensor]


@pytest.fixture
def problem() -> Problem:
    """A model whose ELBO and evidence are known, data, a mask, and the exact ELBO."""
    exact = LinearGaussian(pixels=4, latents=2, seed=10)
    x, mask = exact.data(5, seed=11), random_masks(5, 4, seed=12)
    with torch.no_grad():
        q = exact.model.posterior(x)
    return exact, x, mask, exact.elbo(x, mask, q.mean, q.log_std)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(13)


def test_the_mean_log_weight_is_the_elbo(problem: Problem):
    exact, x, mask, expected = problem
    log_weights = exact.model.log_weights(x, 20_000, mask, generator=generator())
    assert_mean(log_weights, expected)
    torch.testing.assert_close(elbo(log_weights), log_weights.mean(0))
    forgot_q = exact.model.log_joint(x, exact.model.posterior(x).sample(20_000, generator()), mask)
    assert_rejected(lambda: assert_mean(forgot_q, expected))


def test_iwae_rises_from_the_elbo_to_the_evidence(problem: Problem):
    exact, x, mask, expected = problem
    log_weights = exact.model.log_weights(x, 120_000, mask, generator=generator())
    bounds = {k: iwae(log_weights.view(k, -1, 5).flatten(1)).view(-1, 5) for k in (1, 4, 40)}
    assert_mean(bounds[1], expected)
    means = torch.stack([bounds[k].mean(0) for k in (1, 4, 40)])
    seen = mask.any(1)
    assert (means.diff(dim=0)[:, seen] > 0).all()
    error = bounds[40].std(0) / math.sqrt(len(bounds[40]))
    assert (means[-1] < exact.log_evidence(x, mask) + 4.5 * error).all()
    everything = iwae(log_weights)
    torch.testing.assert_close(everything, exact.log_evidence(x, mask), atol=0.05, rtol=0)


def test_iwae_of_equal_weights_is_that_weight():
    torch.testing.assert_close(iwae(torch.full((7, 2), -1e4)), torch.full((2,), -1e4))


def test_renyi_is_iwae_at_0_and_the_elbo_towards_1_and_falls_with_alpha(problem: Problem):
    exact, x, mask, _ = problem
    log_weights = exact.model.log_weights(x, 50, mask, generator=generator())
    torch.testing.assert_close(renyi(log_weights, 0.0), iwae(log_weights))
    assert torch.equal(renyi(log_weights, 1.0), elbo(log_weights))
    torch.testing.assert_close(renyi(log_weights, 1 - 1e-7), elbo(log_weights), rtol=1e-5, atol=0)
    bounds = torch.stack([renyi(log_weights, alpha) for alpha in (-2.0, 0.0, 0.5, 1.0, 3.0)])
    assert (bounds.diff(dim=0) < 0).all()
