import math

import pytest
import torch

from elboroom.objectives import ElboTerms, elbo, elbo_terms, iwae
from oracles import LinearGaussian, assert_mean, assert_rejected, random_masks


@pytest.fixture
def problem():
    exact = LinearGaussian(pixels=4, latents=2, seed=10)
    x, mask = exact.data(5, seed=11), random_masks(5, 4, seed=12)
    with torch.no_grad():
        q = exact.model.posterior(x)
    return exact, x, mask, exact.elbo(x, mask, q.mean, q.log_std)


def generator():
    return torch.Generator().manual_seed(13)


def closed_form_draws(exact, x, mask, k=20_000):
    """k one-sample estimates: row b of draw k is an ELBO of x_b."""
    rows = x.repeat(k, 1), mask.repeat(k, 1)
    return elbo_terms(exact.model, *rows, generator=generator()), k


def test_the_elbo_with_closed_form_kl_has_the_exact_mean(problem):
    exact, x, mask, expected = problem
    terms, k = closed_form_draws(exact, x, mask)
    assert_mean(terms.elbo().view(k, -1), expected)
    flipped = ElboTerms(terms.reconstruction, -terms.kl)
    assert_rejected(lambda: assert_mean(flipped.elbo().view(k, -1), expected))


def test_k_samples_are_averaged(problem):
    exact, x, mask, expected = problem
    terms = elbo_terms(exact.model, x, mask, generator=generator(), k=40_000)
    draws, k = closed_form_draws(exact, x, mask)
    error = draws.elbo().view(k, -1).std(0) / math.sqrt(40_000)
    assert ((terms.elbo() - expected).abs() < 4.5 * error + 1e-12).all()


def test_its_monte_carlo_sibling_has_the_same_mean(problem):
    exact, x, mask, expected = problem
    log_weights = exact.model.log_weights(x, 20_000, mask, generator=generator())
    assert_mean(log_weights, expected)
    torch.testing.assert_close(elbo(log_weights), log_weights.mean(0))
    forgot_q = exact.model.log_joint(x, exact.model.posterior(x).sample(20_000, generator()), mask)
    assert_rejected(lambda: assert_mean(forgot_q, expected))


def test_iwae_rises_from_the_elbo_to_the_evidence(problem):
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


def test_beta_weighs_the_kl_alone():
    terms = ElboTerms(torch.tensor([-3.0]), torch.tensor([2.0]))
    assert terms.elbo().item() == -5.0
    assert terms.elbo(beta=0.25).item() == -3.5
