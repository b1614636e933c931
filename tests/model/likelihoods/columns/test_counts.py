"""Draws of counts as functions of uniform and normal numbers."""

import numpy as np
import pytest
import torch
from scipy import stats

from elboroom.model.likelihoods.columns.counts import draw_gamma, draw_poisson
from elboroom.randomness import uniforms


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.4, 3.0, 9.5, 80.0, 3e3, 1e6])
def test_counts_are_the_quantiles_of_uniform_numbers(rate):
    rates = torch.full((2_000,), rate, dtype=torch.float64)
    u = uniforms(rates.shape, rates, torch.Generator().manual_seed(0))
    found = draw_poisson(rates, torch.Generator().manual_seed(0))
    assert (found.numpy() == stats.poisson.ppf(u.numpy(), rate).clip(0)).all()


def test_extreme_uniform_numbers_have_quantiles_too(monkeypatch):
    rates = torch.tensor([0.01, 1.0, 10.0, 100.0, 1e4, 1e8], dtype=torch.float64)
    for u in (0.0, 2.0**-53, 1e-12, 1 - 1e-12, 1 - 2.0**-53):
        monkeypatch.setattr(
            "elboroom.model.likelihoods.columns.counts.uniforms",
            lambda shape, like, generator, u=u: torch.full(shape, u, dtype=like.dtype),
        )
        found = draw_poisson(rates, torch.Generator()).numpy()
        expected = stats.poisson.ppf(max(u, 2.0**-54), rates.numpy())
        np.testing.assert_allclose(found, expected, atol=5, rtol=1e-6)


@pytest.mark.parametrize("shape", [0.05, 0.7, 1.0, 4.0, 1e4])
def test_gamma_draws_have_their_distribution(shape):
    like = torch.zeros(4_000, dtype=torch.float64)
    draws = draw_gamma(torch.tensor(shape).double(), like, torch.Generator().manual_seed(0))
    assert stats.kstest(draws.numpy(), stats.gamma(shape).cdf).pvalue > 1e-3
    assert stats.kstest(draws.numpy(), stats.gamma(1.3 * shape).cdf).pvalue < 1e-3


def test_draws_can_be_mapped_over_rows_with_shared_noise():
    rates = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)).double() * 9

    def draw(rate):
        return draw_poisson(rate, torch.Generator().manual_seed(1))

    found = torch.vmap(draw, randomness="same")(rates)
    torch.testing.assert_close(found, torch.stack([draw(rate) for rate in rates]))
