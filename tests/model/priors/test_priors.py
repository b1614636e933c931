"""Priors: their densities, draws and curvatures, and models under them."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from elboroom.config import Config, ModelConfig, ObjectiveConfig
from elboroom.errors import UsageError
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors import (
    FlowPrior,
    MixturePrior,
    Prior,
    SharedMixture,
    StandardNormal,
    VampPrior,
)
from elboroom.model.vae import VAE
from tests.support.oracles import assert_mean, assert_rejected
from tests.support.prior_cases import PRIORS, Halves, mixture, noise, vamp

each_prior = pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)


def torch_mixture(prior: MixturePrior | SharedMixture):
    components = Independent(Normal(prior.means, prior.log_stds.exp()), 1)
    return MixtureSameFamily(Categorical(logits=prior.logits), components)


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


def test_the_reach_of_a_mixture_holds_all_its_draws():
    p = mixture()
    assert p.reach > p(1).sample(20_000, noise()).abs().max()
    assert StandardNormal(2).reach == FlowPrior(2, noise()).reach == 8
    assert vamp().reach == vamp().fixed().reach


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


def test_a_flow_starts_as_the_standard_normal():
    prior, z = FlowPrior(3, noise()), 3 * torch.randn(5, 4, 3, generator=noise(1))
    torch.testing.assert_close(prior(4).log_prob(z), StandardNormal(3)(4).log_prob(z))
    gradient, precision = prior.curvature(z[0])
    torch.testing.assert_close(gradient, -z[0])
    torch.testing.assert_close(precision, torch.eye(3).expand(4, -1, -1))


def test_a_flow_draws_its_first_weights_from_the_generator():
    state = torch.random.get_rng_state()
    first, again, other = FlowPrior(3, noise()), FlowPrior(3, noise()), FlowPrior(3, noise(1))
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert any(
        not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)
    )
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_vamp_prior_is_the_mean_of_the_encoders_answers():
    prior, z = vamp(), torch.randn(6, 1, 2, generator=noise(6), dtype=torch.float64)
    q = DiagonalGaussian(*Halves()(prior.pseudo_inputs))
    expected = torch.logsumexp(q.log_prob(z), -1) - math.log(5)
    torch.testing.assert_close(prior(1).log_prob(z)[:, 0], expected)
    torch.testing.assert_close(prior.fixed()(1).log_prob(z)[:, 0], expected)


def test_pseudo_inputs_stay_in_the_range_of_images():
    outside = VampPrior(Halves(), torch.tensor([[[[-1.0, 0.5, 2.0, 0.5]]]]))
    inside = VampPrior(Halves(), torch.tensor([[[[0.0, 0.5, 1.0, 0.5]]]]))
    z = torch.zeros(1, 1, 2)
    assert outside(1).log_prob(z) == inside(1).log_prob(z)


def test_pseudo_inputs_are_real_where_the_data_are():
    images = torch.tensor([-3.0, 0.5, 2.0, 7.0]).view(1, 1, 2, 2)
    for likelihood, shown in [("gaussian", images), ("bernoulli", images.clamp(0, 1))]:
        config = ModelConfig(hidden=(8,), prior="vamp", components=1, likelihood=likelihood)
        model = VAE.from_config(config, (1, 2, 2), generator=noise(), images=images)
        q, z = model.posterior(shown), torch.zeros(1, 2)
        torch.testing.assert_close(model.prior(1).log_prob(z), q.log_prob(z))


def test_a_fixed_prior_has_nothing_to_train():
    assert not any(p.requires_grad for p in vamp().fixed().parameters())
    prior = mixture()
    assert prior.fixed() is prior


def test_the_kl_of_a_latent_under_a_mixture_is_that_of_quadrature():
    prior, q = mixture(), DiagonalGaussian(*torch.tensor([[[0.4, -1.0]], [[-0.3, 0.2]]]).double())
    axis = torch.linspace(-12, 12, 4_001, dtype=torch.float64)[:, None].expand(-1, 2)
    log_q, log_p = q.log_prob_per_latent(axis), prior(1).log_marginals(axis)
    expected = torch.trapezoid(log_q.exp() * (log_q - log_p), axis, dim=0)
    many = DiagonalGaussian(q.mean.expand(20_000, -1), q.log_std.expand(20_000, -1))
    found = prior.kl_per_latent(many, noise(9)).detach()
    assert_mean(found, expected.detach())
    assert_rejected(lambda: assert_mean(found + 0.1, expected.detach()))


def test_what_a_flow_does_not_know_it_does_not_tell():
    q = DiagonalGaussian.standard((3, 2), torch.zeros(1))
    assert FlowPrior(2, noise()).kl_per_latent(q, noise()) is None
    assert FlowPrior(2, noise()).kl(q) is None


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


def test_the_encoder_of_a_vamp_prior_is_the_models_own_and_listed_once():
    config = ModelConfig(hidden=(8,), prior="vamp", components=6)
    images = torch.rand(6, 1, 4, 4, generator=noise())
    model = VAE.from_config(config, (1, 4, 4), generator=noise(), images=images)
    assert [name for name in model.state_dict() if name.startswith("prior")] == [
        "prior.pseudo_inputs"
    ]
    before = model.prior(1).log_prob(torch.zeros(1, 2))
    model.encoder.trunk[-1].bias.data += 1
    assert model.prior(1).log_prob(torch.zeros(1, 2)) != before


def test_a_vamp_prior_needs_images_of_the_right_number_and_shape():
    config = ModelConfig(hidden=(8,), prior="vamp", components=6)
    for images in (None, torch.zeros(5, 1, 4, 4)):
        with pytest.raises(UsageError, match="pseudo-inputs cannot start at training images"):
            VAE.from_config(config, (1, 4, 4), generator=noise(), images=images)


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
