import pytest
import torch

from elboroom.infer.fitting.natural_gradient import NaturalGradientAscent
from elboroom.infer.target import Target
from elboroom.model.posteriors import Gaussian
from tests.support.fit_cases import generator, pictures, small_vae
from tests.support.oracles import LinearGaussian, random_masks


def problem(latents, rows=5):
    exact = LinearGaussian(pixels=6, latents=latents, seed=latents)
    x, mask = exact.data(rows, seed=1), random_masks(rows, 6, seed=2)
    mean, precision = exact.posterior(x, mask)
    return Target.of(exact.model, x, mask), mean, torch.linalg.inv(precision)


def method(latents, x, *, diagonal=False):
    return NaturalGradientAscent(latents, 16, x, generator(), diagonal=diagonal)


@pytest.mark.parametrize("latents", [1, 2, 3])
def test_the_posterior_is_a_fixed_point_without_noise(latents):
    target, mean, covariance = problem(latents)
    scale = torch.linalg.cholesky(covariance)
    ascent = method(latents, target.x)
    weights = ascent.log_weights(target, (mean, scale), ascent.check)
    assert weights.std(0).max() < 1e-12
    moved = ascent.ascend_round(target, (mean, scale), torch.ones(5).double())
    torch.testing.assert_close(moved, (mean, scale), atol=1e-12, rtol=0)


@pytest.mark.parametrize("latents", [1, 2, 3])
def test_a_few_rounds_from_the_prior_find_the_posterior(latents):
    target, mean, covariance = problem(latents)
    ascent = method(latents, target.x)
    parameters = (torch.zeros_like(mean), torch.eye(latents).double().expand_as(covariance))
    for _ in range(25):
        parameters = ascent.ascend_round(target, parameters, torch.ones(5).double())
    found = Gaussian(*parameters)
    torch.testing.assert_close(found.mean, mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.covariance, covariance, atol=1e-5, rtol=0)


@pytest.mark.parametrize("latents", [1, 2, 3])
def test_one_step_finds_the_mean_once_the_covariance_is_right(latents):
    target, mean, covariance = problem(latents)
    scale, ascent = torch.linalg.cholesky(covariance), method(latents, target.x)
    ascent.steps = 1
    off = mean + (scale @ torch.ones(latents, 1).double())[..., 0]
    moved = ascent.ascend_round(target, (off, scale), torch.ones(5).double())
    torch.testing.assert_close(moved, (mean, scale))


def test_each_row_takes_steps_of_its_own_size():
    target, mean, covariance = problem(2)
    scale, ascent = torch.linalg.cholesky(covariance), method(2, target.x)
    ascent.steps = 1
    size = torch.tensor([1.0, 0.5, 0.25, 0.0, 1.0]).double()
    moved, _ = ascent.ascend_round(target, (mean + 0.1, scale), size)
    torch.testing.assert_close(moved, mean + 0.1 * (1 - size[:, None]))


@pytest.mark.parametrize("latents", [2, 3])
def test_the_diagonal_stays_diagonal_and_ends_at_that_of_the_precision(latents):
    target, mean, covariance = problem(latents)
    ascent = method(latents, target.x, diagonal=True)
    parameters = (torch.zeros_like(mean), torch.eye(latents).double().expand_as(covariance))
    for _ in range(30):
        parameters = ascent.ascend_round(target, parameters, torch.ones(5).double())
    mean_found, scale = parameters
    precision = torch.linalg.inv(covariance).diagonal(dim1=1, dim2=2)
    assert torch.equal(scale, torch.diag_embed(scale.diagonal(dim1=1, dim2=2)))
    torch.testing.assert_close(mean_found, mean, atol=1e-6, rtol=0)
    found = scale.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(found, precision.rsqrt(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("latents", [2, 3])
def test_log_weights_are_those_of_the_gaussian_at_the_nodes(latents):
    model, (x, mask) = small_vae(1, latents), pictures(4, seed=1)
    target, ascent = Target.of(model, x, mask), method(latents, x)
    g = generator(3)
    mean = torch.randn(4, latents, generator=g, dtype=torch.float64)
    scale = torch.randn(4, latents, latents, generator=g, dtype=torch.float64)
    q = Gaussian(mean, scale)
    z = mean + torch.einsum("bij,kj->kbi", scale, ascent.check.eps)
    found = ascent.log_weights(target, (mean, scale), ascent.check)
    torch.testing.assert_close(found, target.log_joint(z) - q.log_prob(z))


def test_a_step_from_far_away_stays_finite_and_no_scale_becomes_singular():
    model, (x, mask) = small_vae(1, 3, scale=30.0), pictures(6, seed=2)
    target, ascent = Target.of(model, x, mask), method(3, x)
    far = 20 * torch.ones(6, 3).double()
    wide = 10 * torch.eye(3).double().expand(6, 3, 3)
    mean, scale = ascent.ascend_round(target, (far, wide), torch.ones(6).double())
    assert mean.isfinite().all()
    assert (torch.linalg.slogdet(scale).sign == 1).all()
