"""Distributions of PyTorch's as the prior."""

import copy
import math

import pytest
import torch
from torch import distributions as dist
from torch import nn

from elboroom import VAE, infer
from elboroom.errors import UsageError
from elboroom.model.priors import DistributionPrior, MixturePrior, StandardNormal
from tests.support.oracles import LinearGaussian, UnitNoise

ZEROS, ONES = torch.zeros(2).double(), torch.ones(2).double()


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points() -> torch.Tensor:
    return 3 * torch.randn(6, 2, generator=noise(), dtype=torch.float64)


def model(prior: object) -> VAE:
    exact = LinearGaussian(pixels=4, latents=2, seed=0).model
    return VAE(exact.encoder, exact.decoder, 2, UnitNoise, prior)  # type: ignore[arg-type]


def student() -> dist.Distribution:
    return dist.StudentT(torch.tensor(4.0).double(), ZEROS, ONES)


@pytest.mark.parametrize(
    "normal",
    [
        dist.Normal(ZEROS, ONES),
        dist.Independent(dist.Normal(ZEROS, ONES), 1),
        dist.MultivariateNormal(ZEROS, torch.eye(2).double()),
    ],
)
def test_a_standard_normal_is_the_standard_prior(normal):
    found, expected, z = DistributionPrior(normal, 2), StandardNormal(2).double(), points()
    torch.testing.assert_close(found(6).log_prob(z), expected(6).log_prob(z))
    for mine, exact in zip(found.curvature(z), expected.curvature(z), strict=True):
        torch.testing.assert_close(mine, exact)
    assert torch.equal(found(6).mean, torch.zeros(6, 2).double())
    assert 7.5 < found.reach < 8.5


def test_the_curvature_of_a_correlated_normal_is_its_precision():
    precision = torch.tensor([[2.0, 0.9], [0.9, 1.0]]).double()
    prior = DistributionPrior(dist.MultivariateNormal(ONES, precision_matrix=precision), 2)
    z = points()
    gradient, found = prior.curvature(z)
    torch.testing.assert_close(gradient, (ONES - z) @ precision)
    torch.testing.assert_close(found, precision.expand(6, 2, 2))


def test_draws_follow_the_distribution_and_the_generator_alone():
    prior, means = DistributionPrior(dist.Normal(ONES, 2 * ONES), 2), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        means.append(prior(500).sample(40, noise(7)).mean((0, 1)))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(means[0], means[2])
    assert (means[0] - 1).abs().max() < 4 * 2 / math.sqrt(20_000)
    again = noise(7)
    assert not torch.equal(prior(1).sample(1, again), prior(1).sample(1, again))


@pytest.mark.parametrize(
    "heavy",
    [student(), dist.Laplace(ZEROS, ONES), dist.Cauchy(ZEROS, ONES), dist.Gumbel(ZEROS, ONES)],
)
def test_the_curvature_is_positive_definite_in_the_tails(heavy):
    z = 10 * points()
    gradient, precision = DistributionPrior(heavy, 2).curvature(z)
    assert (torch.linalg.eigvalsh(precision) > 0).all()
    step = 1e-6 * torch.randn(6, 2, generator=noise(1), dtype=torch.float64)
    rise = (heavy.log_prob(z + step) - heavy.log_prob(z - step)).sum(-1) / 2
    torch.testing.assert_close((gradient * step).sum(-1), rise, rtol=1e-4, atol=1e-12)


def test_a_mixture_is_that_of_elboroom():
    means = torch.tensor([[-2.0, 0.0], [2.0, 1.0]]).double()
    parts = dist.Independent(dist.Normal(means, torch.full_like(means, 0.5)), 1)
    mixture = dist.MixtureSameFamily(dist.Categorical(torch.tensor([0.3, 0.7]).double()), parts)
    own = MixturePrior(
        torch.tensor([0.3, 0.7]).double().log(), means, torch.full_like(means, 0.5).log()
    )
    z = points()
    torch.testing.assert_close(
        DistributionPrior(mixture, 2)(6).log_prob(z), own(6).log_prob(z).detach()
    )


def test_every_method_agrees_with_the_exact_grid_under_a_student_t():
    exact = LinearGaussian(pixels=4, latents=2, seed=0)
    x = exact.data(3, seed=1)
    own = model(student())
    found = infer.grid(own, x, generator=noise())
    sir = infer.sir(own, x, generator=noise())
    error = (sir.log_evidence - found.log_evidence).abs()
    assert (error < 4 * sir.log_evidence_standard_error + 0.005).all()
    ais = infer.ais(own, x, generator=noise(), distributions=100, chains=8)
    torch.testing.assert_close(ais.log_evidence, found.log_evidence, atol=0.3, rtol=0)
    for method in (infer.laplace, infer.svi):
        elbo = method(own, x, generator=noise()).elbo
        assert (elbo < found.log_evidence + 0.05).all()
        assert (elbo > found.log_evidence - 0.5).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (dist.Normal(0.0, 1.0), "batch_shape () and event_shape (); expected () and (2,)"),
        (dist.Normal(torch.zeros(3), 1.0), "batch_shape (3,) and event_shape ()"),
        (dist.Independent(dist.Normal(torch.zeros(5, 2), 1.0), 1), "batch_shape (5,)"),
        (dist.LogNormal(ZEROS, ONES), "expected all real vectors"),
        (dist.Uniform(-ONES, ONES), "expected all real vectors"),
        (dist.HalfNormal(ONES), "expected all real vectors"),
        (dist.Poisson(ONES), "expected all real vectors"),
        (dist.Dirichlet(ONES), "expected all real vectors"),
        (dist.Normal(nn.Parameter(ZEROS), ONES), "its parameters require gradients"),
        (nn.Identity(), "a Identity cannot be the prior"),
        (lambda rows: dist.Normal(ZEROS, ONES), "expected an elboroom.model.priors.Prior"),
    ],
)
def test_what_is_no_density_of_the_latents_is_refused_in_words(wrong, words):
    with pytest.raises(UsageError) as error:
        model(wrong)
    assert words in str(error.value)


def test_the_distribution_moves_with_the_model_and_is_copied_with_it():
    own = model(dist.Independent(dist.Normal(ZEROS, ONES), 1)).float()
    z = torch.zeros(3, 2)
    assert own.prior(3).log_prob(z).dtype == torch.float32
    assert own.prior(3).sample(1, noise()).dtype == torch.float32
    assert torch.equal(copy.deepcopy(own).prior(3).log_prob(z), own.prior(3).log_prob(z))
    assert own.to("meta").prior.distribution.base_dist.loc.is_meta
