from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.evaluation import calibration
from elboroom.evaluation.calibration import sbc_ranks, uniformity
from elboroom.infer import ais, grid, hmc, laplace, metropolis_within_gibbs
from elboroom.infer.posterior import Posterior
from elboroom.model.posteriors import Gaussian
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, assert_rejected

ROWS, DRAWS = 1_000, 99


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bernoulli(pixels):
    """A decoder 3 → 12 → pixels of Bernoulli pixels."""
    model = VAE.from_config(ModelConfig(3, (12,)), (pixels,), generator=generator(1))
    return model.double()


@dataclass(frozen=True)
class BesideNarrow:
    """A posterior's draws, and the planted bug: the same with half the variance, (k, 2, B, D)."""

    posterior: Posterior

    @property
    def draws(self):
        return self.posterior.draws

    @property
    def particles(self):
        return self.posterior.particles

    def sample(self, k):
        z, mean = self.posterior.sample(k), self.posterior.mean
        return torch.stack([z, mean + 0.5**0.5 * (z - mean)], 1)


def assert_right_and_narrow_rejected(ranks):
    """Of the two that `BesideNarrow` gives, (2, N, D)."""

    def check(ranks):
        assert uniformity(ranks, DRAWS).min() > 1e-3

    right, narrow = ranks
    check(right)
    assert_rejected(lambda: check(narrow))


def narrow(model, x, mask, *, generator):
    """The planted bug: a variance halved."""
    fit = laplace(model, x, mask, generator=generator, refine=False)
    return replace(fit, q=Gaussian(fit.q.mean, fit.q.scale * 0.5**0.5))


def shifted(model, x, mask, *, generator):
    """The planted bug: a mean moved by a quarter of a standard deviation."""
    fit = laplace(model, x, mask, generator=generator, refine=False)
    return replace(fit, q=Gaussian(fit.q.mean + 0.25 * fit.q.scale.sum(-1), fit.q.scale))


def assert_uniform(method, mask=None, latents=2):
    exact = LinearGaussian(pixels=5, latents=latents, seed=3)
    g = generator()
    ranks = sbc_ranks(
        exact.model,
        partial(method, generator=g),
        rows=ROWS,
        draws=DRAWS,
        generator=g,
        mask=mask,
    )
    assert uniformity(ranks, DRAWS).min() > 1e-3


@pytest.mark.parametrize("seen", [0, 2, 5])
def test_an_exact_posterior_is_calibrated_under_every_mask(seen):
    assert_uniform(laplace, torch.arange(5) < seen, latents=3)


def test_the_grid_is_calibrated():
    assert_uniform(grid)


@pytest.mark.full
def test_the_refined_posterior_of_a_bernoulli_decoder_is_calibrated():
    """Of 400 pixels, of which most are seen: so many make posteriors nearly Gaussian."""
    model = bernoulli(400)
    mask = torch.rand(ROWS, 400, generator=generator(2)) < 0.8
    g = generator()

    def method(model, x, mask):
        return BesideNarrow(laplace(model, x, mask, generator=g, starts=1))

    ranks = sbc_ranks(model, method, rows=ROWS, draws=DRAWS, generator=g, mask=mask)
    assert_right_and_narrow_rejected(ranks)


@pytest.mark.full  # the same by a closed form stands above
def test_hmc_of_a_bernoulli_decoder_is_calibrated():
    """Of few pixels, whose posteriors are far from Gaussian."""
    model = bernoulli(12)
    for p in model.decoder.parameters():
        p.data *= 3
    options = {"chains": 32, "warmup": 80, "draws": 60, "independent_rows": True}
    g = generator()
    mask = torch.rand(500, 12, generator=generator(2)) < 0.8

    def method(model, x, mask):
        return BesideNarrow(hmc(model, x, mask, generator=g, **options))

    ranks = sbc_ranks(model, method, rows=500, draws=DRAWS, generator=g, mask=mask)
    assert_right_and_narrow_rejected(ranks)


WALK = {"chains": 8, "warmup": 24, "draws": 24, "jumps": False}


def ranks_of_hmc(rows, *, independent_rows=True):
    """Ranks of a model whose posterior is Gaussian, so that few moves are enough."""
    exact, g = LinearGaussian(pixels=3, latents=1, seed=3), generator()

    def method(model, x, mask):
        walk = hmc(model, x, mask, generator=g, independent_rows=independent_rows, **WALK)
        return BesideNarrow(walk)

    return sbc_ranks(exact.model, method, rows=rows, draws=DRAWS, generator=g)


def assert_nominal_level(ranks):
    """Of many tests of 250 rows each, about one in twenty rejects a right sampler at 0.05."""
    p = torch.cat([uniformity(some, DRAWS) for some in ranks.split(250)])
    rejected = (p < 0.05).double().mean()
    assert abs(rejected - 0.05) < 4 * (0.05 * 0.95 / len(p)) ** 0.5


@pytest.mark.full
def test_hmc_is_rejected_at_the_nominal_level(monkeypatch):
    right, narrow = ranks_of_hmc(5_000)
    assert_nominal_level(right)
    assert_rejected(lambda: assert_nominal_level(narrow))
    # the planted bug: noise that rows share, which `sbc_ranks` would refuse
    monkeypatch.setattr(calibration, "_require_independent_rows", lambda posterior: None)
    shared, _ = ranks_of_hmc(5_000, independent_rows=False)
    assert_rejected(lambda: assert_nominal_level(shared))


@pytest.mark.parametrize("mask", [None, torch.tensor([True, False, True])])
@pytest.mark.parametrize("method", [hmc, ais, metropolis_within_gibbs])
def test_rows_that_share_their_noise_are_refused(method, mask, monkeypatch):
    monkeypatch.setattr("elboroom.infer.chains.annealing.TUNING", 8)
    exact, g = LinearGaussian(pixels=3, latents=2, seed=3), generator()
    short = {
        hmc: {"chains": 2, "warmup": 8, "draws": 8},
        ais: {"chains": 4, "distributions": 4},
        metropolis_within_gibbs: {"chains": 2, "burn_in": 4, "sweeps": 8},
    }[method]
    one = partial(method, generator=g, **short)
    with pytest.raises(UsageError, match="rows share their noise"):
        sbc_ranks(exact.model, one, rows=9, draws=5, generator=g, mask=mask)


@pytest.mark.parametrize("method", [partial(hmc, warmup=8, draws=8), partial(ais, chains=4)])
def test_rows_with_noise_of_their_own_are_ranked(method, monkeypatch):
    monkeypatch.setattr("elboroom.infer.chains.annealing.TUNING", 8)
    exact, g = LinearGaussian(pixels=3, latents=2, seed=3), generator()
    options = {"distributions": 4} if method.func is ais else {}
    own = partial(method, generator=g, independent_rows=True, **options)
    ranks = sbc_ranks(exact.model, own, rows=9, draws=5, generator=g)
    assert ranks.shape == (9, 2)
    assert ranks.min() >= 0
    assert ranks.max() <= 5


@pytest.mark.parametrize("bug", [narrow, shifted])
def test_a_planted_bug_is_noticed(bug):
    assert_rejected(lambda: assert_uniform(bug))


def test_the_test_of_uniformity_has_its_nominal_level():
    ranks = torch.randint(0, 100, (2_000, 400), generator=generator())
    rejected = (uniformity(ranks, 99) < 0.05).double().mean()
    assert abs(rejected - 0.05) < 4 * (0.05 * 0.95 / 400) ** 0.5


def test_bins_that_do_not_divide_the_ranks_are_expected_in_proportion():
    ranks = torch.arange(11).repeat(1_000)[:, None]
    torch.testing.assert_close(uniformity(ranks, 10, bins=4), torch.ones(1).double())
