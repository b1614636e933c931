import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import (
    Categorical,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from elboroom.model.posteriors import DiagonalGaussian, Gaussian, GaussianMixture, LowRankGaussian
from tests.support.oracles import assert_mean, assert_rejected


def gaussian(rows, latents, seed):
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(rows, latents, generator=g, dtype=torch.float64)
    return DiagonalGaussian(mean, torch.randn(mean.shape, generator=g, dtype=torch.float64))


def reference(q):
    return Independent(Normal(q.mean, q.log_std.exp()), 1)


gaussians = st.builds(gaussian, st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))


@given(gaussians)
def test_kl_to_the_prior_is_that_of_torch_distributions(q):
    prior = DiagonalGaussian.standard(tuple(q.mean.shape), q.mean)
    expected = kl_divergence(reference(q), reference(prior))
    torch.testing.assert_close(q.kl_to_standard(), expected)
    assert (q.kl_to_standard() >= 0).all()
    assert torch.equal(prior.kl_to_standard(), torch.zeros(len(q.mean)).double())


@given(gaussians, st.integers(1, 3))
def test_log_prob_is_that_of_torch_distributions(q, k):
    z = q.sample(k, torch.Generator().manual_seed(0))
    assert z.shape == (k, *q.mean.shape)
    torch.testing.assert_close(q.log_prob(z), reference(q).log_prob(z))


def test_draws_have_the_mean_and_the_variance():
    q = gaussian(3, 2, 1)
    z = q.sample(50_000, torch.Generator().manual_seed(2))
    squares = (z - q.mean).square()
    assert_mean(z, q.mean)
    assert_mean(squares, (2 * q.log_std).exp())
    assert_rejected(lambda: assert_mean(squares, (1.1 * q.log_std).exp()))


def test_draws_and_densities_are_differentiable_in_the_parameters():
    q = gaussian(2, 2, 3)
    parameters = (q.mean.requires_grad_(), q.log_std.requires_grad_())

    def of(mean, log_std):
        q = DiagonalGaussian(mean, log_std)
        z = q.sample(2, torch.Generator().manual_seed(4))
        return z, q.log_prob(torch.ones(1, 2, 2).double()), q.kl_to_standard()

    assert torch.autograd.gradcheck(of, parameters)


def full(rows, latents, seed, *, batch=()):
    """Any root of Σ: not a triangular one, and with determinants of both signs."""
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(*batch, rows, latents, generator=g, dtype=torch.float64)
    noise = torch.randn(*mean.shape, latents, generator=g, dtype=torch.float64)
    return Gaussian(mean, noise + torch.eye(latents).double())


def low_rank(rows, latents, seed):
    g = torch.Generator().manual_seed(seed)
    mean, log_std = torch.randn(2, rows, latents, generator=g, dtype=torch.float64)
    factor = torch.randn(rows, latents, 2, generator=g, dtype=torch.float64)
    return LowRankGaussian(mean, 0.5 * log_std, factor)


def mixture(rows, latents, seed, components=3):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(components, rows, generator=g, dtype=torch.float64)
    return GaussianMixture(logits, full(rows, latents, seed, batch=(components,)))


def expected(q):
    """The same density, of torch.distributions."""
    if isinstance(q, DiagonalGaussian):
        return reference(q)
    if isinstance(q, Gaussian):
        return MultivariateNormal(q.mean, q.scale @ q.scale.mT)
    if isinstance(q, LowRankGaussian):
        return LowRankMultivariateNormal(q.mean, q.factor, (2 * q.log_std).exp())
    of_rows = Gaussian(q.components.mean.transpose(0, 1), q.components.scale.transpose(0, 1))
    return MixtureSameFamily(Categorical(logits=q.logits.T), expected(of_rows))


def covariance_of(q):
    if not isinstance(q, GaussianMixture):
        return q.covariance
    # Σ_m π_m (Σ_m + δ_m δ_mᵀ), δ_m = μ_m − μ
    offset = (q.components.mean - q.mean)[..., None]
    within = q.components.covariance + offset @ offset.mT
    return (q.log_mass.exp()[..., None, None] * within).sum(0)


FAMILIES = {
    "diagonal": gaussian,
    "full": full,
    "low-rank": low_rank,
    "mixture": mixture,
}
families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@families
@given(rows=st.integers(1, 4), latents=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_densities_are_those_of_torch_distributions_for_any_leading_shape(
    family, rows, latents, seed
):
    q = family(rows, latents, seed)
    z = torch.randn(2, 3, rows, latents, generator=torch.Generator().manual_seed(seed)).double()
    for points in (z, z[0], z[0, 0]):
        torch.testing.assert_close(q.log_prob(points), expected(q).log_prob(points))


@families
def test_draws_have_the_moments_of_torch_distributions(family):
    q = family(3, 2, 21)
    z = q.sample(40_000, torch.Generator().manual_seed(22))
    assert z.shape == (40_000, 3, 2)
    reference = expected(q)
    torch.testing.assert_close(q.mean, reference.mean)
    assert_mean(z, reference.mean)
    covariance = covariance_of(q)
    torch.testing.assert_close(covariance.diagonal(dim1=-1, dim2=-2), reference.variance)
    centred = z - reference.mean
    products = centred[..., :, None] * centred[..., None, :]
    assert_mean(products, covariance)
    assert_rejected(lambda: assert_mean(products, 1.1 * covariance))


@families
def test_a_draw_is_a_sample_with_its_density(family):
    q = family(3, 2, 23)
    z, log_q = q.draw(5, torch.Generator().manual_seed(24))
    torch.testing.assert_close(log_q, q.log_prob(z))
    assert torch.equal(z, q.sample(5, torch.Generator().manual_seed(24)))


@families
def test_wider_ones_have_wider_draws(family):
    q, g = family(2, 2, 26), torch.Generator()
    wide, narrow = q.widened(3.0).sample(50, g.manual_seed(1)), q.sample(50, g.manual_seed(1))
    if isinstance(q, GaussianMixture):  # the components are, about their own means
        assert torch.equal(q.widened(3.0).logits, q.logits)
        wider = q.widened(3.0).components
        torch.testing.assert_close(wider.covariance, 9 * q.components.covariance)
        torch.testing.assert_close(wider.mean, q.components.mean)
    else:
        torch.testing.assert_close(wide - q.mean, 3 * (narrow - q.mean))
        torch.testing.assert_close(q.widened(3.0).covariance, 9 * q.covariance)


def test_a_mixture_takes_each_component_by_its_mass():
    q = mixture(2, 1, 27)
    apart = Gaussian(
        torch.tensor([-9.0, 0.0, 9.0]).double().view(3, 1, 1).expand(3, 2, 1),
        0.1 * torch.ones(3, 2, 1, 1).double(),
    )
    z = GaussianMixture(q.logits, apart).sample(20_000, torch.Generator().manual_seed(0))[..., 0]
    found = torch.stack([(z < -4), (z.abs() < 4), (z > 4)], 1).double()
    assert_mean(found, q.log_mass.exp())
    assert_rejected(lambda: assert_mean(found, q.log_mass.exp().flip(0)))


def test_a_component_without_mass_is_never_drawn_and_has_no_density():
    q = mixture(2, 2, 28)
    logits = q.logits.clone()
    logits[1] = -torch.inf
    rest = torch.tensor([0, 2])
    components = Gaussian(q.components.mean[rest], q.components.scale[rest])
    left = GaussianMixture(logits[rest], components)
    q = GaussianMixture(logits, q.components)
    z = q.sample(1_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(q.log_prob(z), left.log_prob(z))
    torch.testing.assert_close(q.mean, left.mean)
    far = Gaussian(q.components.mean.clone(), q.components.scale)
    far.mean[1] = 1e6
    assert GaussianMixture(logits, far).sample(1_000, torch.Generator()).max() < 1e5


@families
def test_families_are_differentiable_and_keep_their_type(family):
    q = family(2, 3, 29)
    names = ["logits", "components"] if isinstance(q, GaussianMixture) else list(vars(q))
    if isinstance(q, GaussianMixture):
        values = (q.logits, q.components.mean, q.components.scale)

        def rebuild(logits, mean, scale):
            return GaussianMixture(logits, Gaussian(mean, scale))
    else:
        values, rebuild = tuple(getattr(q, name) for name in names), type(q)
    z = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    leaves = tuple(v.clone().requires_grad_() for v in values)
    assert torch.autograd.gradcheck(lambda *p: rebuild(*p).log_prob(z), leaves)
    narrow = rebuild(*(v.float() for v in values))
    draws, log_q = narrow.draw(2, torch.Generator())
    assert draws.dtype == log_q.dtype == narrow.mean.dtype == torch.float32
