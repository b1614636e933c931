"""Inference where the channels of a pixel depend on each other, given z."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from elboroom import infer
from elboroom.config import ModelConfig
from elboroom.infer.target import Target
from elboroom.model.likelihoods import DiscretizedLogisticMixture
from elboroom.model.vae import VAE
from tests.support.oracles import assert_mean, assert_rejected

EVENT = (3, 1, 3)
LEVELS = torch.arange(256).double() / 255


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def problem() -> tuple[VAE, Tensor, Tensor, infer.Posterior]:
    """A model, colours, a mask of single channels, and the exact posterior."""
    config = ModelConfig(1, (8,), likelihood="discretized-logistic-mixture")
    model = VAE.from_config(config, EVENT, generator=generator(1)).double()
    for p in model.decoder.parameters():
        p.data *= 1.5
    z = model.prior(4).sample(1, generator(4))[0]
    x = model.decode(z).sample(generator(5)).detach()
    mask = torch.rand(x.shape, generator=generator(2)) < 0.6
    mask[0], mask[3] = False, True
    mask[:, :, 0, 2] = False  # a pixel that no row sees
    mask[1, :, 0, 0] = torch.tensor([True, False, True])
    return model, x, mask, infer.grid(model, x, mask, generator=generator())


def test_the_grid_integrates_unseen_channels_out():
    model, x, mask, exact = problem()
    z = torch.linspace(-8, 8, 401).double().view(-1, 1, 1).expand(-1, 4, -1)
    table = model.log_joint(x.masked_fill(~mask, torch.nan), z, mask)
    expected = table.logsumexp(0) + math.log(16 / 400)
    torch.testing.assert_close(exact.log_evidence, expected.detach(), atol=1e-3, rtol=0)


def test_the_target_decodes_the_pixels_of_seen_channels_alone():
    model, x, mask, _ = problem()
    target = Target.of(model, x, mask)
    assert target.x.shape == (4, 3, 2, 1)
    z = torch.randn(5, 4, 1, generator=generator()).double()
    torch.testing.assert_close(target.log_joint(z), model.log_joint(x, z, mask))
    whole = Target.of(model, x, None)
    gradient, precision = whole.curvature(z[0])
    torch.testing.assert_close(gradient, whole.gradient(z[:1])[0])
    assert (precision > 0).all()


@pytest.mark.parametrize("fit", ["laplace", "svi"])
def test_fits_lie_below_the_evidence_and_near_it(fit: str):
    model, x, mask, exact = problem()
    found = getattr(infer, fit)(model, x, mask, generator=generator())
    gap = exact.log_evidence - found.log_weights(2_000)
    assert (gap.mean(0) > -4.5 * gap.std(0) / 2_000**0.5).all()
    assert gap.mean(0).median() < 0.5


def test_samplers_find_the_posterior():
    model, x, mask, exact = problem()
    resampled = infer.sir(model, x, mask, particles=2_000, widen=1.5, generator=generator())
    torch.testing.assert_close(resampled.log_evidence, exact.log_evidence, atol=0.1, rtol=0)
    walk = infer.metropolis_within_gibbs(
        model, x, mask, generator=generator(), chains=30, sweeps=40, burn_in=10
    )
    assert_mean(walk.draws.mean(0), exact.mean, errors=5)
    chains = infer.hmc(model, x, mask, generator=generator(), chains=16, warmup=20, draws=30)
    assert_mean(chains.draws.mean(0), exact.mean, errors=6)


def conditional_mean(model: VAE, x: Tensor, exact: infer.Posterior) -> Tensor:
    """E[green | red, blue] of the first pixel of row 1, by all its levels."""
    z = exact.sample(400)[:, 1]
    entries = model.decoder_output(z)[:, :, :1, :1]
    colour = x[1, :, :1, :1].expand(256, -1, -1, -1).clone()
    colour[:, 1, 0, 0] = LEVELS
    table = DiscretizedLogisticMixture(entries).log_prob_table(colour)
    return (table.softmax(-1) @ LEVELS).mean().detach()


def test_a_completion_follows_the_seen_channels_of_the_same_pixel():
    model, x, mask, exact = problem()
    found = infer.complete(model, x, mask, exact, draws=2_000, generator=generator())
    expected = conditional_mean(model, x, exact)
    torch.testing.assert_close(found.mean[1, 1, 0, 0], expected, atol=0.03, rtol=0)
    assert_mean(found.draws[:, 1, 1, 0, 0], expected)
    apart = model.decode(exact.sample(400)).mean[:, 1, 1, 0, 0].mean().detach()
    assert_rejected(lambda: assert_mean(found.draws[:, 1, 1, 0, 0], apart))


@pytest.mark.parametrize("score", [infer.completion_score, infer.predictive_score])
def test_withheld_channels_are_scored_given_the_seen_ones(score):
    model, x, mask, exact = problem()
    expected = score(model, x, mask, exact, generator=generator()).log_prob
    fit = infer.sir(model, x, mask, particles=1_000, widen=1.5, generator=generator())
    found = score(model, x, mask, fit, generator=generator(), draws=500)
    assert ((found.log_prob - expected).abs() < 4.5 * found.standard_error + 0.01).all()
