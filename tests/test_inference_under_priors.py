"""Every method of inference under priors that are not N(0, I)."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from elboroom import infer
from elboroom.certificate import certify
from elboroom.model import VAE
from fit_cases import EVENT, FITS, generator, pictures, small_vae
from oracles import Constant, LinearGaussian, assert_mean, assert_rejected, random_masks
from prior_cases import PRIORS, mixture, noise

UNLIKE = {name: make for name, make in PRIORS.items() if name != "standard"}
each_prior = pytest.mark.parametrize("make", UNLIKE.values(), ids=UNLIKE)


def problem(make, rows=5):
    model = small_vae(1)
    model.prior = make()
    x, mask = pictures(rows, seed=2)
    return model, x, mask, infer.grid(model, x, mask, generator=generator())


def log_evidence(oracle, prior, x, mask):
    """Of a linear-Gaussian model whose prior is a mixture, in closed form, (B,)."""
    p, found = prior(1), []
    for row, seen in zip(x, mask, strict=True):
        weight, bias = oracle.weight[seen], oracle.bias[seen]
        # p(x) = Σ_c π_c N(x; W μ_c + b, W Σ_c Wᵀ + I)
        parts = [
            MultivariateNormal(
                weight @ mean + bias,
                (weight * (2 * log_std).exp()) @ weight.T + torch.eye(len(bias)).double(),
            ).log_prob(row[seen])
            if seen.any()
            else torch.zeros(()).double()
            for mean, log_std in zip(p.means, p.log_stds, strict=True)
        ]
        found.append(torch.logsumexp(p.log_mass + torch.stack(parts), 0))
    return torch.stack(found).detach()


@pytest.fixture(scope="module")
def linear():
    """A linear-Gaussian model under a mixture prior, data with masks, and log p(x_seen)."""
    oracle, prior = LinearGaussian(6, 2, seed=0), mixture()
    model = VAE(oracle.model.encoder, oracle.model.decoder, 2, oracle.model.likelihood, prior)
    x, mask = oracle.data(6, seed=1), random_masks(6, 6, seed=2)
    return model, x, mask, log_evidence(oracle, prior, x, mask)


def test_the_grid_finds_the_evidence_of_the_linear_model(linear):
    model, x, mask, expected = linear
    found = infer.grid(model, x, mask, generator=generator())
    torch.testing.assert_close(found.log_evidence, expected, atol=1e-3, rtol=0)


def test_annealing_is_unbiased_in_the_evidence_of_the_linear_model(linear):
    model, x, mask, expected = linear
    found = infer.ais(model, x, mask, generator=noise(), distributions=30, chains=400)
    ratio = (found.log_weights - expected).exp()
    assert_mean(ratio, 1.0)
    assert_rejected(lambda: assert_mean(1.2 * ratio, 1.0))


def test_annealing_from_the_prior_is_unbiased_too(linear):
    model, x, mask, expected = linear
    start = model.prior(len(x))
    found = infer.ais(model, x, mask, generator=noise(), start=start, distributions=60, chains=400)
    assert_mean((found.log_weights - expected).exp(), 1.0)


@each_prior
def test_importance_sampling_finds_the_evidence(make):
    model, x, mask, exact = problem(make)
    modes = infer.laplace(model, x, mask, generator=noise(), mixture=True)
    found = infer.sir(
        model, x, mask, proposal=modes, widen=1.5, particles=20_000, generator=noise()
    )
    torch.testing.assert_close(found.log_evidence, exact.log_evidence, atol=0.05, rtol=0)


@each_prior
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_fits_lie_below_the_evidence_and_near_it(make, fit):
    model, x, mask, exact = problem(make)
    found = fit(model, x, mask, generator=generator())
    # log p(x) − ELBO = KL(q ‖ p(z | x)) ≥ 0
    gap = exact.log_evidence - found.log_weights(4_000)
    error = gap.std(0) / 4_000**0.5
    assert (gap.mean(0) > -4.5 * error).all()
    assert gap.mean(0).median() < 1


@each_prior
@pytest.mark.parametrize("method", [infer.hmc, infer.metropolis_within_gibbs])
def test_chains_have_the_moments_of_the_grid(make, method):
    model, x, mask, exact = problem(make)
    model.encoder = Constant(torch.zeros(2).double(), torch.ones(2).double())  # reaches all modes
    lengths = {"warmup": 300, "draws": 300} if method is infer.hmc else {"sweeps": 3_000}
    found = method(model, x, mask, generator=noise(), chains=16, **lengths)
    chains = found.draws.mean(0)  # (C, B, D), independent of each other
    mixed = found.rhat < 1.02
    assert mixed.sum() >= 3
    assert_mean(chains[:, mixed], exact.mean[mixed], errors=6)


@each_prior
def test_bounds_from_both_sides_hold_the_evidence(make):
    model = problem(make)[0]
    found = certify(model, rows=20, generator=noise(), distributions=60, chains=8)
    exact = infer.grid(model, found.x, generator=generator()).log_evidence
    for gap in (exact - found.lower, found.upper - exact):
        assert gap.mean() > -4.5 * gap.std() / 20**0.5
    shortfall = exact - found.lower
    assert shortfall.mean() < 0.1 + 4.5 * shortfall.std() / 20**0.5


@each_prior
def test_the_encoder_is_judged_under_the_prior(make):
    model, x, mask, exact = problem(make)
    found = infer.amortised(model, x, mask, generator=noise())
    # ELBO = log p(x) − KL(q ‖ p(z | x))
    assert_mean(found.log_weights(4_000), exact.log_evidence - exact.kl(found.q))


@each_prior
def test_completions_are_those_of_the_posterior(make):
    model, x, mask, exact = problem(make)
    found, expected = (
        infer.complete(model, x, mask, posterior, draws=1, generator=noise()).mean
        for posterior in (infer.svi(model, x, mask, family="mixture", generator=noise()), exact)
    )
    torch.testing.assert_close(found, expected, atol=0.15, rtol=0)
    assert found.shape == (len(x), *EVENT)
