import math

import pytest
import torch

from elboroom.errors import UsageError
from elboroom.infer import grid
from elboroom.infer.grid import GridError
from oracles import LinearGaussian, assert_mean, assert_rejected, random_masks


def generator():
    return torch.Generator().manual_seed(0)


def problem(latents, rows=6):
    exact = LinearGaussian(pixels=5, latents=latents, seed=20 + latents)
    return exact, exact.data(rows, seed=21), random_masks(rows, 5, seed=22)


@pytest.mark.parametrize("latents", [1, 2])
def test_evidence_and_moments_are_those_of_the_linear_gaussian_model(latents):
    exact, x, mask = problem(latents)
    found = grid(exact.model, x, mask, generator=generator())
    torch.testing.assert_close(found.log_evidence, exact.log_evidence(x, mask), atol=1e-6, rtol=0)
    mean, precision = exact.posterior(x, mask)
    torch.testing.assert_close(found.mean, mean, atol=1e-5, rtol=0)
    assert found.error.max() <= 1e-3
    log_density = torch.distributions.MultivariateNormal(mean, precision_matrix=precision).log_prob(
        found.points[:, None].double()
    )
    torch.testing.assert_close(found.log_density, log_density, atol=1e-5, rtol=1e-5)


def test_no_mask_is_a_mask_of_all_true():
    exact, x, mask = problem(1)
    found = grid(exact.model, x, generator=generator())
    same = grid(exact.model, x, torch.ones_like(mask), generator=generator())
    assert torch.equal(found.log_evidence, same.log_evidence)


def test_a_mask_of_all_false_gives_back_the_prior():
    exact, x, mask = problem(2)
    found = grid(exact.model, x[:1], mask[:1], generator=generator())
    torch.testing.assert_close(found.log_evidence, torch.zeros(1).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.mean, torch.zeros(1, 2).double(), atol=1e-6, rtol=0)


def test_draws_have_the_posterior_moments():
    exact, x, mask = problem(2)
    draws = grid(exact.model, x, mask, generator=generator()).sample(40_000)
    mean, precision = exact.posterior(x, mask)
    assert_mean(draws, mean)
    centred = draws - mean
    covariance = centred[..., :, None] * centred[..., None, :]
    cell = 0.16**2 / 12  # draws are uniform within a cell of at most this variance
    spread = torch.linalg.inv(precision) + cell * torch.eye(2)
    assert_mean(covariance, spread)
    assert_rejected(lambda: assert_mean(covariance, 0.5 * spread))


def test_three_latents_are_refused():
    exact = LinearGaussian(pixels=5, latents=3, seed=1)
    with pytest.raises(UsageError, match="over 3 latent dimensions"):
        grid(exact.model, exact.data(2, seed=1), generator=generator())


def test_a_posterior_too_narrow_for_the_finest_grid_is_an_error():
    exact, x, _ = problem(1)
    exact.model.decoder.weight.data *= 1e6
    with pytest.raises(GridError, match="does not resolve"):
        grid(exact.model, x, generator=generator())


def test_a_posterior_beyond_the_grid_is_an_error():
    exact, x, _ = problem(1)
    with pytest.raises(GridError, match="reaches beyond the grid"):
        grid(exact.model, x + 100, generator=generator())


def test_refinement_goes_on_until_the_evidence_stands_still():
    exact, x, _ = problem(1)
    exact.model.decoder.weight.data *= 12
    coarse = grid(exact.model, x, generator=generator(), tolerance=math.inf)
    fine = grid(exact.model, x, generator=generator(), tolerance=1e-6)
    assert len(fine.axis) > len(coarse.axis)
    assert fine.error.max() <= 1e-6
