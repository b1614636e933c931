"""Mixture priors: densities, moments, bounds in a box and precision."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors import MixturePrior, SharedMixture
from tests.support.oracles import assert_mean, assert_rejected
from tests.support.prior_cases import mixture, noise, vamp


def torch_mixture(prior: MixturePrior | SharedMixture):
    components = Independent(Normal(prior.means, prior.log_stds.exp()), 1)
    return MixtureSameFamily(Categorical(logits=prior.logits), components)


@pytest.mark.parametrize("make", [mixture, vamp])
def test_the_precision_of_a_mixture_bounds_the_curvature(make):
    prior = make()
    for z in torch.randn(8, 1, 2, generator=noise(5), dtype=torch.float64):
        hessian = torch.autograd.functional.hessian(lambda z: prior(1).log_prob(z).sum(), z)
        gap = prior.curvature(z)[1][0] + hessian[0, :, 0]
        assert torch.linalg.eigvalsh(gap).min() > -1e-9


def test_the_precision_of_one_component_is_exact():
    prior, z = mixture(components=1), torch.ones(1, 2, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda z: prior(1).log_prob(z).sum(), z)
    torch.testing.assert_close(prior.curvature(z)[1][0], -hessian[0, :, 0])


def test_a_mixture_is_that_of_torch():
    prior, z = (
        mixture(components=7, latents=3),
        3 * torch.randn(11, 4, 3, generator=noise(2)).double(),
    )
    found = torch_mixture(prior)
    torch.testing.assert_close(prior(4).log_prob(z), found.log_prob(z))
    torch.testing.assert_close(prior(4).mean, found.mean.expand(4, -1))
    torch.testing.assert_close(
        prior(4).covariance.diagonal(dim1=1, dim2=2), found.variance.expand(4, -1)
    )


def test_the_covariance_of_a_mixture_is_that_of_draws():
    p = mixture()(1)
    z = p.sample(20_000, noise(8))[:, 0] - p.mean
    assert_mean(z[:, :, None] * z[:, None, :], p.covariance[0])


def test_marginals_are_integrals_of_the_joint():
    p, axis = mixture()(1), torch.linspace(-15, 15, 3_001, dtype=torch.float64)
    z = torch.stack([torch.full_like(axis, 0.7), axis], -1)
    mass = torch.trapezoid(p.log_prob(z[:, None])[:, 0].exp(), axis)
    torch.testing.assert_close(p.log_marginals(z[:1])[0, 0].exp(), mass)


@pytest.mark.parametrize("narrower", [0.8, 1.0, 5.0])
def test_no_narrow_component_passes_its_bound_in_a_box(narrower):
    p, generator = mixture(components=6)(1), noise(7)
    low = 6 * torch.rand(20, 2, generator=generator, dtype=torch.float64) - 3
    width = torch.rand(20, 2, generator=generator, dtype=torch.float64)
    fractions = torch.rand(4_000, 20, 2, generator=generator, dtype=torch.float64)
    narrow = (p.log_stds.exp() < narrower).any(-1)
    found = p.log_joint(low + fractions.clamp(0.02, 0.98).sub(0.02).div(0.96) * width)
    most = found[..., narrow].amax((0, 2)).detach()
    bounds = p.log_bounds(low, low + width, narrower)
    assert bounds is not None
    assert (bounds[0] >= most - 1e-9).all()
    assert (bounds[0] - most).median() < 0.05
    steepest = (-2 * p.log_stds[narrow]).exp().sum(-1).max()
    assert (bounds[1] <= steepest).all()


def test_a_mixture_without_narrow_components_hides_nothing():
    corners = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    assert mixture()(1).log_bounds(*corners, 0.01) is None


def test_float32_loses_little_of_narrow_components_far_from_the_origin():
    g = noise(3)
    means, log_stds = (
        1.5 * torch.randn(300, 50, generator=g),
        -2.5 + 0.3 * torch.randn(300, 50, generator=g),
    )
    z = means + log_stds.exp() * torch.randn(300, 50, generator=g)
    p = SharedMixture(torch.zeros(300), means, log_stds)
    exact = p.to(z.double()).log_prob(z.double())
    assert (p.log_prob(z) - exact).abs().max() < 0.02
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(p.log_prob(z), exact.float(), atol=0.02, rtol=0)


def test_the_kl_of_a_latent_under_a_mixture_is_that_of_quadrature():
    prior, q = mixture(), DiagonalGaussian(*torch.tensor([[[0.4, -1.0]], [[-0.3, 0.2]]]).double())
    axis = torch.linspace(-12, 12, 4_001, dtype=torch.float64)[:, None].expand(-1, 2)
    log_q, log_p = q.log_prob_per_latent(axis), prior(1).log_marginals(axis)
    expected = torch.trapezoid(log_q.exp() * (log_q - log_p), axis, dim=0)
    many = DiagonalGaussian(q.mean.expand(20_000, -1), q.log_std.expand(20_000, -1))
    found = prior.kl_per_latent(many, noise(9)).detach()
    assert_mean(found, expected.detach())
    assert_rejected(lambda: assert_mean(found + 0.1, expected.detach()))
