"""Priors: their densities, draws and curvatures, and models under them."""

import pytest
import torch

from elboroom.config import Config, ModelConfig, ObjectiveConfig
from elboroom.errors import UsageError
from elboroom.model.priors import FlowPrior, MixturePrior, Prior, StandardNormal, VampPrior
from elboroom.model.vae import VAE
from tests.support.oracles import assert_mean, assert_rejected
from tests.support.prior_cases import PRIORS, mixture, noise, vamp

each_prior = pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)


def plane():
    """Points (N, 1, 2) of a lattice, and the area of its cells."""
    axis = torch.linspace(-9, 9, 361, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)[:, None], (axis[1] - axis[0]) ** 2


@each_prior
def test_densities_integrate_to_one(make):
    z, area = plane()
    with torch.no_grad():
        mass = make()(1).log_prob(z).exp().sum() * area
    assert mass == pytest.approx(1, abs=2e-4)


@each_prior
def test_draws_are_of_the_density(make):
    p, (lattice, area) = make()(3), plane()

    def waves(z):
        return torch.cat([(z + 0.3).cos(), (z[..., :1] - 2 * z[..., 1:]).cos()], -1)

    with torch.no_grad():
        mass = p.log_prob(lattice.expand(-1, 3, -1)).exp() * area
        expected = (mass[..., None] * waves(lattice)).sum(0)
        z, log_p = p.draw(5_000, noise(1))
        torch.testing.assert_close(log_p, p.log_prob(z), atol=1e-4, rtol=0)
        assert_mean(waves(z), expected)
        assert_rejected(lambda: assert_mean(waves(1.1 * z + 0.1), expected))
        assert p.sample(5, noise()).shape == (5, 3, 2)
        assert p.mean.shape == (3, 2)


@each_prior
def test_the_mean_is_that_of_draws(make):
    p = make()(1)
    with torch.no_grad():
        assert_mean(p.sample(1_000, noise(3))[:, 0], p.mean[0], errors=6.5)


@each_prior
def test_the_gradient_is_that_of_autograd(make):
    prior, z = make(), torch.randn(6, 2, generator=noise(4), dtype=torch.float64)
    z.requires_grad_()
    expected = torch.autograd.grad(prior(6).log_prob(z).sum(), z)[0]
    gradient, precision = prior.curvature(z)
    torch.testing.assert_close(gradient, expected)
    assert (torch.linalg.eigvalsh(precision) > 0).all()


def test_the_reach_of_a_mixture_holds_all_its_draws():
    p = mixture()
    assert p.reach > p(1).sample(20_000, noise()).abs().max()
    assert StandardNormal(2).reach == FlowPrior(2, noise()).reach == 8
    assert vamp().reach == vamp().fixed().reach


@pytest.mark.parametrize("name", ["standard", "mixture", "vamp", "flow"])
def test_densities_are_computed_in_float32_whatever_the_precision_of_the_layers(name):
    config = ModelConfig(hidden=(8,), prior=name, components=6, latents=20)
    images = torch.rand(6, 1, 4, 4, generator=noise())
    model = VAE.from_config(config, (1, 4, 4), generator=noise(), images=images)
    prior, z = model.prior.fixed(), 4 * torch.randn(9, 20, generator=noise(2))
    expected, slope = prior(9).log_prob(z), prior.curvature(z)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(prior(9).log_prob(z), expected)
        for found, exact in zip(prior.curvature(z), slope, strict=True):
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, exact)
        assert model.prior(9).log_prob(z).dtype == torch.float32


def test_a_fixed_prior_has_nothing_to_train():
    assert not any(p.requires_grad for p in vamp().fixed().parameters())
    prior = mixture()
    assert prior.fixed() is prior


@pytest.mark.parametrize("name", ["standard", "mixture", "vamp", "flow"])
def test_a_model_has_the_prior_of_its_config(name):
    config = ModelConfig(hidden=(8,), prior=name, components=6)
    images = torch.rand(6, 1, 4, 4, generator=noise())
    model = VAE.from_config(config, (1, 4, 4), generator=noise(), images=images)
    kinds = {
        "standard": StandardNormal,
        "mixture": MixturePrior,
        "vamp": VampPrior,
        "flow": FlowPrior,
    }
    assert type(model.prior) is kinds[name]
    x = (images > 0.5).float()
    model.log_weights(x, 3, generator=noise()).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.prior.parameters())


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(UsageError, match="free_bits"):
        Config(model=ModelConfig(prior="vamp"), objective=ObjectiveConfig(free_bits=0.1))
    with pytest.raises(UsageError, match="normalisation"):
        ModelConfig(prior="vamp", normalisation="batch")
    with pytest.raises(UsageError, match="components"):
        ModelConfig(prior="mixture", components=0)


def test_a_prior_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Prior()
