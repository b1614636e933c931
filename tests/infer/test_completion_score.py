import math
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch
from torch.distributions import MultivariateNormal

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import grid
from elboroom.infer.chains.posterior import ChainPosterior
from elboroom.infer.completion_score import completion_score
from elboroom.infer.encoder import encoder
from elboroom.infer.gibbs import metropolis_within_gibbs
from elboroom.infer.laplace import laplace
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import ParticlePosterior, sir
from elboroom.infer.target import Target
from elboroom.model.posteriors import Gaussian
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

ROWS, REPEATS = 6, 200


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


class Draws(Posterior):
    """A posterior that only draws."""

    def __init__(self, stored):
        self.stored = stored

    @property
    def mean(self):
        return self.stored.mean(0)

    @property
    def diagnostics(self):
        return {}

    def sample(self, k):
        return self.stored[:k]


class Known(Draws):
    """A posterior that also knows its evidence."""

    log_evidence = None

    def __init__(self, stored, log_evidence):
        super().__init__(stored)
        self.log_evidence = log_evidence


def linear():
    exact = LinearGaussian(pixels=5, latents=2, seed=60)
    return exact, exact.data(ROWS, seed=61), random_masks(ROWS, 5, seed=62)


def repeated():
    """Every row REPEATS times, each to be scored with draws of its own."""
    exact, x, mask = linear()
    return exact, x.repeat(REPEATS, 1), mask.repeat(REPEATS, 1)


def by_row(values):
    return values.unflatten(0, (REPEATS, ROWS))


def truth(exact, x, mask):
    """log p(x_unseen | x_seen) = log p(x) − log p(x_seen)."""
    return exact.log_evidence(x, torch.ones_like(mask)) - exact.log_evidence(x, mask)


def fit(exact, x, mask, shift=0.0, stretch=1.0):
    """The exact posterior, moved and stretched."""
    mean, precision = exact.posterior(x, mask)
    root = torch.linalg.cholesky(torch.linalg.inv(precision))
    q = Gaussian(mean + shift * root.sum(-1), stretch * root)
    return VariationalPosterior.of(Target.of(exact.model, x, mask), q, generator())


def score(problem, posterior, draws=500, **options):
    exact, x, mask = problem
    options |= {"generator": generator(2), "draws": draws}
    return completion_score(exact.model, x, mask, posterior, **options)


def of_particles(problem):
    exact, x, mask = problem
    wide = fit(*problem, 0.5, 1.5)
    return score(
        problem, sir(exact.model, x, mask, generator=generator(), proposal=wide, particles=500)
    )


def of_known_evidence(problem):
    exact, x, mask = problem
    evidence = exact.log_evidence(x[:ROWS], mask[:ROWS]).repeat(REPEATS)
    return score(problem, Known(fit(*problem).sample(500), evidence))


@cache
def chains():
    """MwG, its q wide and so slow to forget where it has been: REPEATS groups of four chains."""
    exact, x, mask = linear()
    exact.model.encoder.log_std.data.fill_(0.0)
    options = {"generator": generator(), "chains": 4 * REPEATS, "sweeps": 300}
    draws = metropolis_within_gibbs(exact.model, x, mask, **options).draws
    return draws.unflatten(1, (REPEATS, 4)).transpose(1, 2).flatten(2, 3)


@cache
def of_chains():
    exact, x, mask = problem = repeated()
    target = Target.of(exact.model, x, mask)
    return score(problem, ChainPosterior(target, chains(), None, generator()), 1_200)


KINDS = {
    "an exact fit": lambda problem: score(problem, fit(*problem)),
    "a wrong fit": lambda problem: score(problem, fit(*problem, 0.5, 1.5)),
    "particles": of_particles,
    "a known evidence": of_known_evidence,
    "chains": lambda _: of_chains(),
    "plain draws": lambda problem: score(problem, Draws(fit(*problem).sample(500))),
}


def check(found, expected):
    # the ratio is not biased to first order, its logarithm is by −SE²/2
    off = by_row(found.log_prob + found.standard_error.square() / 2) - expected
    assert_mean(off, 0.0)
    ratio = by_row(found.standard_error)[:, :-1].mean(0) / off[:, :-1].std(0)
    # the spread of n repeats is itself known to one part in √2n
    assert (ratio - 1).abs().max() < 4.5 / math.sqrt(2 * REPEATS)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_differences_of_evidences_and_their_errors_calibrated(kind):
    expected = truth(*linear())
    found = KINDS[kind](repeated())
    check(found, expected)
    assert_rejected(lambda: check(replace(found, log_prob=found.log_prob + 0.02), expected))
    small = replace(found, standard_error=0.7 * found.standard_error)
    assert_rejected(lambda: check(small, expected))
    # the last row has nothing unseen
    assert torch.equal(by_row(found.log_prob)[:, -1], torch.zeros(REPEATS).double())
    assert torch.equal(by_row(found.standard_error)[:, -1], torch.zeros(REPEATS).double())


def test_uncorrected_the_score_is_that_of_what_the_fit_believes():
    exact, x, mask = linear()
    problem, q = repeated(), fit(exact, x, mask, 0.5, 1.5).q
    # ∫ p(x_unseen | z) q(z) dz = N(x_unseen; W μ + b, W Σ Wᵀ + I)
    mean, covariance = q.mean @ exact.weight.T + exact.bias, q.covariance
    spread = exact.weight @ covariance @ exact.weight.T + torch.eye(5).double()
    rows = [
        MultivariateNormal(mean[i, u], spread[i][u][:, u]).log_prob(x[i, u]) if u.any() else 0.0
        for i, u in enumerate(~mask)
    ]
    expected = torch.tensor(rows).double()
    wrong = fit(*problem, 0.5, 1.5)
    check(score(problem, wrong, correct=False), expected)
    assert_rejected(lambda: check(score(problem, wrong), expected))
    check(score(problem, Draws(wrong.sample(500))), expected)


def test_a_fit_to_the_whole_image_finds_what_explains_a_surprise():
    exact, x, mask = linear()
    mask = torch.zeros_like(mask)
    x = (exact.weight @ torch.full((2,), 4.0).double() + exact.bias).expand(ROWS, -1)
    problem, expected = (exact, x, mask), truth(exact, x, mask)
    prior = fit(*problem)
    whole = fit(exact, x, ~mask, 0.2, 1.2)

    def close(found):
        off = found.log_prob - expected
        assert (off.abs() < 4.5 * found.standard_error).all()
        assert found.standard_error.max() < 0.1

    found = score(problem, prior, whole=whole)
    close(found)
    assert found.ess.min() > 250
    blind = score(problem, Draws(prior.sample(500)))
    assert blind.ess.max() < 10
    assert_rejected(lambda: close(blind))


def test_errors_of_chains_count_what_their_draws_have_in_common():
    problem = repeated()
    found, draws = of_chains(), chains()
    independent = score(problem, Draws(draws.flatten(0, 1)), 1_200)
    torch.testing.assert_close(found.log_prob, independent.log_prob)
    ratio = by_row(found.standard_error)[:, :-1].mean(0)
    ratio /= by_row(independent.standard_error)[:, :-1].mean(0)
    assert ratio.min() > 1.2


def test_errors_of_chains_that_alternate_stay_positive():
    exact, x, mask = linear()
    z = fit(exact, x, mask).sample(100)
    mean = exact.posterior(x, mask)[0]
    swinging = torch.stack([z, 2 * mean - z], 1).flatten(0, 1)[:, None]
    posterior = ChainPosterior(Target.of(exact.model, x, mask), swinging, None, generator())
    found = score((exact, x, mask), posterior)
    assert (found.standard_error[:-1] > 0).all()


def test_long_chains_are_thinned():
    exact, x, mask = linear()
    draws = fit(exact, x, mask).sample(4_000).unflatten(0, (1_000, 4))
    posterior = ChainPosterior(Target.of(exact.model, x, mask), draws, None, generator())
    found = score((exact, x, mask), posterior, draws=400)
    expected = score((exact, x, mask), Draws(draws[::10].flatten(0, 1)), draws=400)
    torch.testing.assert_close(found.log_prob, expected.log_prob)


def bernoulli():
    event, g = (1, 3, 4), generator(43)
    model = VAE.from_config(ModelConfig(2, (12,)), event, generator=g)
    for p in model.decoder.parameters():
        p.data *= 3
    x = (torch.rand(ROWS, *event, generator=g) < 0.4).float()
    mask = torch.rand(ROWS, *event, generator=g) < 0.5
    mask[0], mask[-1] = False, True
    return model, x, mask


METHODS = {
    "encoder": encoder,
    "sir": sir,
    "metropolis_within_gibbs": metropolis_within_gibbs,
    "grid": grid,
}


@pytest.mark.parametrize("method", METHODS)
def test_scores_of_a_bernoulli_decoder_are_those_of_two_grids(method):
    model, x, mask = bernoulli()
    whole, part = (grid(model, x, m, generator=generator()) for m in (None, mask))
    expected = (whole.log_evidence - part.log_evidence).float()
    posterior = METHODS[method](model, x, mask, generator=generator())
    found = completion_score(model, x, mask, posterior, generator=generator(2), draws=4_000)

    def close(log_prob):
        # two grids, each with a tolerance of 1e-3 nats
        assert ((log_prob - expected).abs() < 4.5 * found.standard_error + 2e-3).all()

    close(found.log_prob)
    assert found.standard_error.max() < 0.25
    assert found.log_prob[-1] == 0
    assert_rejected(lambda: close(whole.log_evidence.float()))  # that of all pixels


def test_permuting_rows_and_their_draws_permutes_scores():
    exact, x, mask = linear()
    found = sir(exact.model, x, mask, generator=generator())
    whole = fit(exact, x, torch.ones_like(mask))
    order = torch.randperm(ROWS, generator=generator())
    permuted = ParticlePosterior(
        found.target.rows(order), found.z[:, order], found.log_weights[:, order], generator()
    )
    a = score((exact, x, mask), found, draws=1, whole=Repeated(whole.q, whole.mean))
    q = Gaussian(whole.q.mean[order], whole.q.scale[order])
    b = score((exact, x[order], mask[order]), permuted, draws=1, whole=Repeated(q, q.mean))
    torch.testing.assert_close(b.log_prob, a.log_prob[order])


@dataclass(frozen=True)
class Repeated:
    """A fit that draws its mean."""

    q: Gaussian
    stored: torch.Tensor

    def sample(self, k):
        return self.stored.expand(k, -1, -1)


def test_missing_pixels_are_not_scored():
    exact, x, mask = linear()
    posterior = laplace(exact.model, x, mask, generator=generator())
    torn = x.clone()
    torn[:, 0] = torch.nan
    known, seen = ~torn.isnan(), mask & ~torn.isnan()
    fit = laplace(exact.model, torn, seen, generator=generator())
    found = score((exact, torn, seen), fit)
    expected = exact.log_evidence(x, known) - exact.log_evidence(x, seen)
    assert ((found.log_prob - expected).abs() < 4.5 * found.standard_error + 1e-9).all()
    everything = score((exact, x, mask), posterior)
    assert ((everything.log_prob - expected).abs() > 4.5 * everything.standard_error).any()


def test_a_mask_that_does_not_fit_is_refused():
    exact, x, mask = linear()
    posterior = encoder(exact.model, x, mask, generator=generator())
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        score((exact, x, mask.float()), posterior)
    with pytest.raises(UsageError, match="does not broadcast"):
        score((exact, x, mask[:3]), posterior)


def test_a_score_carries_no_gradients():
    exact, x, mask = linear()
    found = score((exact, x, mask), encoder(exact.model, x, mask, generator=generator()))
    assert not found.log_prob.requires_grad
