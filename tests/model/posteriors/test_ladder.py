"""The posterior of a ladder: a density, its KL level by level, and its prior with a top."""

import math
from dataclasses import replace

import pytest
import torch

from elboroom.model.posteriors import Descent, LadderPosterior, ladder
from elboroom.model.priors import MixturePrior, StandardNormal, TopPrior, kl_of_levels
from elboroom.model.vae import VAE
from tests.support import ladder_cases
from tests.support.ladder_cases import generator, numbers
from tests.support.oracles import assert_mean, assert_rejected

DRAWS = 20_000


@pytest.fixture(scope="module")
def model() -> VAE:
    return ladder_cases.ladder((5,), spread=0.4, levels=(2,), level_channels=(2,))


@pytest.fixture(scope="module")
def q(model: VAE) -> LadderPosterior:
    found = model.posterior((numbers(3, 5) > 0).double())
    assert isinstance(found, LadderPosterior)
    return found


def test_the_density_of_two_scalars_integrates_to_one():
    """By the trapezoidal rule on [−9, 9]²."""
    model = ladder_cases.ladder((5,), latents=1, levels=(1,))
    q = model.posterior((numbers(2, 5) > 0).double())
    side = torch.linspace(-9, 9, 150, dtype=torch.float64)
    points = torch.cartesian_prod(side, side)[:, None].expand(-1, 2, -1)
    area = (side[1] - side[0]) ** 2
    torch.testing.assert_close(
        q.log_prob(points).exp().sum(0) * area, torch.ones(2).double(), atol=1e-4, rtol=0
    )


def test_the_kl_of_a_level_is_that_of_its_draws(q: LadderPosterior):
    """E[log q(ε_l | ε_>l, x) − log N(ε_l; 0, I)], by draws."""
    found = q.descend(DRAWS, generator(1))

    def check(found: Descent) -> None:
        log_p = -(0.5 * (found.z.square() + math.log(2 * math.pi)))
        levels = log_p.split(q.decoder.sizes, -1)
        sampled = found.log_q - torch.stack([level.sum(-1) for level in levels])
        assert_mean((sampled - found.kl).movedim(1, 0), 0.0)

    check(found)
    without_log_std = found.kl - found.kl.mean((1, 2), keepdim=True) + 0.5
    assert_rejected(lambda: check(replace(found, kl=without_log_std)))
    noise_reused = found.z.clone()
    noise_reused[..., 2:4] = noise_reused[..., 4:6]
    assert_rejected(lambda: check(replace(found, z=noise_reused)))


def test_the_mean_is_that_of_draws(q: LadderPosterior, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ladder, "_MOMENT_DRAWS", DRAWS)
    difference = q.sample(DRAWS, generator(5)) - q.mean
    assert_mean(difference / 2**0.5, 0.0)  # two means of as many draws each


def test_the_mean_of_many_rows_is_computed_a_few_at_a_time(
    q: LadderPosterior, monkeypatch: pytest.MonkeyPatch
):
    expected, together = q.mean, list[int]()
    monkeypatch.setattr(ladder, "_MOMENT_ROWS", 2)  # of three
    hook = q.decoder.top.register_forward_hook(lambda *call: together.append(len(call[-1])))
    torch.testing.assert_close(q.mean, expected, atol=1e-12, rtol=0)
    hook.remove()
    assert together == [2 * 16, 16]


def test_a_prior_of_the_top_is_a_density():
    """Its log density and curvature are those of its parts, its draws have both."""
    top = MixturePrior.random(3, 2, generator())
    prior = TopPrior(top, 3).double()
    z = numbers(4, 5)
    expected = top(4).log_prob(z[:, :2]) + StandardNormal(3)(4).log_prob(z[:, 2:])
    torch.testing.assert_close(prior(4).log_prob(z), expected)
    gradient, precision = prior.curvature(z)
    leaf = z.clone().requires_grad_()
    torch.testing.assert_close(
        gradient, torch.autograd.grad(prior(4).log_prob(leaf).sum(), leaf)[0]
    )
    torch.testing.assert_close(precision[:, :2, :2], top.curvature(z[:, :2])[1])
    assert (precision[:, 2:, 2:] == torch.eye(3)).all()
    draws = prior(2).sample(DRAWS, generator(3))
    assert_mean(draws, prior(2).mean.detach())
    assert_mean(draws[..., 2:].square(), 1.0)


def test_with_a_prior_of_the_top_only_the_kl_of_the_top_changes(q: LadderPosterior):
    top = MixturePrior.random(3, 2, generator()).double().requires_grad_(False)
    found = q.descend(DRAWS, generator(1))
    kl = kl_of_levels(TopPrior(top, 4), found)
    assert (kl[1:] == found.kl[1:]).all()
    assert (kl_of_levels(StandardNormal(6), found) == found.kl).all()
    log_p = top(3).log_prob(found.z[..., :2])
    torch.testing.assert_close(kl[0], found.log_q[0] - log_p)


def test_parameters_of_a_detached_posterior_have_no_gradient(model: VAE, q: LadderPosterior):
    """Those of the noise remain, also through the parameters of the levels below."""
    parts = [*model.encoder.parameters(), *model.decoder.parameters()]
    for parameter in parts:
        parameter.requires_grad_()
    try:
        z = numbers(2, 3, 6, seed=9).requires_grad_()
        q = model.posterior((numbers(3, 5) > 0).double())
        log_q = q.detached().log_prob(z)
        torch.testing.assert_close(log_q, q.log_prob(z))
        log_q.sum().backward()
        assert all(parameter.grad is None for parameter in parts)
        expected = torch.autograd.grad(q.log_prob(z).sum(), z)[0]
        torch.testing.assert_close(z.grad, expected)
    finally:
        for parameter in parts:
            parameter.requires_grad_(False)
