from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.evaluation.calibration import sbc_ranks, uniformity
from elboroom.infer import grid, hmc, laplace
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
    options = {"chains": 32, "warmup": 80, "draws": 60}
    g = generator()  # rows share the noise of a walk: more walks, so that ranks are independent

    def method(model, x, mask):
        return BesideNarrow(hmc(model, x, mask, generator=g, **options))

    walks = [
        sbc_ranks(model, method, rows=100, draws=DRAWS, generator=g, mask=mask)
        for mask in torch.rand(5, 100, 12, generator=generator(2)) < 0.8
    ]
    assert_right_and_narrow_rejected(torch.cat(walks, 1))


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
