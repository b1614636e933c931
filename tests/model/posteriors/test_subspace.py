"""Gaussians that differ from a multiple of N(0, I) in a subspace, against dense ones."""

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from elboroom.model.posteriors import (
    MOST_DENSE,
    DiagonalGaussian,
    Gaussian,
    GaussianMixture,
    SubspaceGaussian,
    gaussian_of,
)
from tests.support.oracles import assert_mean, assert_rejected

LATENTS, RANK, ROWS = 7, 3, 4


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def subspace(*leading, latents=LATENTS, rank=RANK, seed=0):
    """Return a Gaussian of each row; the first row has one direction fewer, a zero column."""
    directions = torch.linalg.qr(numbers(*leading, latents, rank, seed=seed)).Q
    root = numbers(*leading, rank, rank, seed=seed + 1) + 2 * torch.eye(rank).double()
    rest = numbers(*leading, seed=seed + 2).exp()
    first = (*[0] * len(leading),)
    directions[first][:, -1] = 0
    root[first][-1], root[first][:, -1] = 0, 0
    root[first][-1, -1] = rest[first]
    return SubspaceGaussian(numbers(*leading, latents, seed=seed + 3), directions, root, rest)


def dense(q):
    return MultivariateNormal(q.mean, q.covariance)


def test_the_covariance_is_that_of_the_root():
    q = subspace(ROWS)
    identity = torch.eye(LATENTS).double()
    inside = q.directions @ q.directions.mT
    root = q.rest[:, None, None] * (identity - inside) + q.directions @ q.root @ q.directions.mT
    torch.testing.assert_close(q.covariance, root @ root.mT)
    eps = numbers(5, ROWS, LATENTS, seed=9)
    torch.testing.assert_close(q.at(eps), q.mean + torch.einsum("bij,kbj->kbi", root, eps))
    torch.testing.assert_close(q.pulled(eps), torch.einsum("bji,kbj->kbi", root, eps))
    torch.testing.assert_close(q.standardised(q.at(eps)), eps)
    torch.testing.assert_close(q.log_det, torch.linalg.slogdet(root).logabsdet)


def test_densities_are_those_of_torch_distributions():
    q = subspace(ROWS)
    z = numbers(5, ROWS, LATENTS, seed=9)
    torch.testing.assert_close(q.log_prob(z), dense(q).log_prob(z))
    prior = MultivariateNormal(torch.zeros_like(q.mean), torch.eye(LATENTS).double())
    torch.testing.assert_close(q.kl_to_standard(), kl_divergence(dense(q), prior))
    torch.testing.assert_close(
        (2 * q.marginals.log_std).exp(), q.covariance.diagonal(dim1=-1, dim2=-2)
    )
    inverse = torch.linalg.inv(q.covariance).diagonal(dim1=-1, dim2=-2)
    torch.testing.assert_close(q.precisions, inverse)


def test_only_directions_of_the_subspace_are_widened():
    q, wide = subspace(ROWS), subspace(ROWS).widened(1.5)
    inside = q.directions @ q.directions.mT
    beside = torch.eye(LATENTS).double() - inside
    expected = beside @ q.covariance @ beside + 1.5**2 * inside @ q.covariance @ inside
    torch.testing.assert_close(wide.covariance, expected)
    z = numbers(5, ROWS, LATENTS, seed=9)
    torch.testing.assert_close(wide.log_prob(z), dense(wide).log_prob(z))
    assert q.widened_directions == GaussianMixture(numbers(1, ROWS), q).widened_directions == RANK


def test_draws_have_the_mean_and_the_covariance():
    q = subspace(ROWS)
    z, log_q = q.draw(40_000, generator())
    torch.testing.assert_close(log_q[:5], dense(q).log_prob(z[:5]))
    assert_mean(z, q.mean)
    centred = z - q.mean
    products = centred[..., :, None] * centred[..., None, :]
    assert_mean(products, q.covariance)
    without = SubspaceGaussian(q.mean, 0 * q.directions, q.root, q.rest)
    assert_rejected(lambda: assert_mean(products, without.covariance))


def test_a_precision_is_that_of_the_prior_and_its_excess():
    q, excess = subspace(ROWS), numbers(ROWS, RANK).exp()
    excess[0, -1] = 0
    of = SubspaceGaussian.of_precision(q.mean, q.directions, excess)
    weighted = q.directions * excess[:, None]
    precision = torch.eye(LATENTS).double() + weighted @ q.directions.mT
    torch.testing.assert_close(of.covariance, precision.inverse())


def test_a_mixture_is_matched_in_mean_and_covariance():
    parts = subspace(2, ROWS)
    mixture = GaussianMixture(numbers(2, ROWS, seed=9), parts)
    found = gaussian_of(mixture)
    assert isinstance(found, SubspaceGaussian)
    torch.testing.assert_close(found.mean, mixture.mean)
    torch.testing.assert_close(found.covariance, mixture.covariance)
    z = numbers(5, ROWS, LATENTS, seed=8)
    full = Gaussian(parts.mean, torch.linalg.cholesky(parts.covariance))
    torch.testing.assert_close(
        mixture.log_prob(z), GaussianMixture(mixture.logits, full).log_prob(z)
    )


def test_a_mixture_of_one_keeps_its_directions():
    parts = subspace(2, ROWS)
    logits = torch.tensor([0.0, -torch.inf]).double()[:, None].expand(2, ROWS)
    found = gaussian_of(GaussianMixture(logits, parts))
    assert isinstance(found, SubspaceGaussian)
    torch.testing.assert_close(found.covariance, parts.covariance[0])
    assert found.directions.shape[-1] == RANK


@pytest.mark.parametrize(("latents", "kind"), [(3, Gaussian), (MOST_DENSE + 1, DiagonalGaussian)])
def test_a_diagonal_gaussian_of_many_latents_stays_diagonal(latents, kind):
    q = DiagonalGaussian(numbers(2, latents), 0.1 * numbers(2, latents, seed=1))
    found = gaussian_of(q)
    assert type(found) is kind
    eps = numbers(4, 2, latents, seed=2)
    torch.testing.assert_close(found.at(eps), q.at(eps))
    torch.testing.assert_close(found.pulled(eps), q.pulled(eps))
    torch.testing.assert_close(found.standardised(found.at(eps)), eps)
    torch.testing.assert_close(found.log_det, q.log_det)
