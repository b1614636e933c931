import math
import sys

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import exact_elbo
from elboroom.infer.exact_elbo import QuadratureError, elbo_of
from elboroom.infer.target import Target
from elboroom.model.posteriors import (
    Density,
    DiagonalGaussian,
    Gaussian,
    GaussianMixture,
    LowRankGaussian,
)
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

LATENTS = pytest.mark.parametrize("latents", [1, 2, 3])


def problem(latents, rows=6):
    exact = LinearGaussian(pixels=5, latents=latents, seed=latents)
    return exact, exact.data(rows, seed=1), random_masks(rows, 5, seed=2)


def normals(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@LATENTS
def test_the_elbo_of_a_diagonal_gaussian_is_exact(latents):
    exact, x, mask = problem(latents)
    mean, log_std = normals(2, 6, latents)
    expected = exact.elbo(x, mask, mean, log_std)
    torch.testing.assert_close(
        exact_elbo(exact.model, x, mask, DiagonalGaussian(mean, log_std)), expected
    )
    assert (expected <= exact.log_evidence(x, mask)).all()


@LATENTS
def test_the_elbo_of_a_correlated_gaussian_is_exact(latents):
    exact, x, mask = problem(latents)
    mean, log_std = normals(2, 6, latents)
    full = Gaussian(mean, normals(6, latents, latents))
    low_rank = LowRankGaussian(mean, log_std, normals(6, latents, 1))
    true_mean, precision = exact.posterior(x, mask)
    posterior = MultivariateNormal(true_mean, precision_matrix=precision)
    for q in (full, low_rank):
        kl = kl_divergence(MultivariateNormal(q.mean, q.covariance), posterior)
        expected = exact.log_evidence(x, mask) - kl
        torch.testing.assert_close(exact_elbo(exact.model, x, mask, q), expected)


def decoder(gain):
    g = torch.Generator().manual_seed(4)
    model = VAE.from_config(ModelConfig(2, (8,)), (1, 4, 4), generator=g).double()
    for p in model.decoder.parameters():
        p.data *= gain
    x = (torch.rand(5, 1, 4, 4, generator=g) < 0.5).double()
    return model, x, torch.rand(x.shape, generator=g) < 0.7


def test_no_mask_is_a_mask_of_all_true():
    model, x, mask = decoder(2.0)
    q = DiagonalGaussian(*normals(2, 5, 2))
    expected = exact_elbo(model, x, torch.ones_like(mask), q)
    torch.testing.assert_close(exact_elbo(model, x, None, q), expected)


@pytest.mark.parametrize("gain", [1.0, 5.0])
def test_the_elbo_of_a_decoder_is_the_mean_of_its_log_weights(gain):
    model, x, mask = decoder(gain)
    mean, log_std = normals(2, 5, 2)
    q = DiagonalGaussian(mean, log_std)
    z = q.sample(40_000, torch.Generator().manual_seed(5))
    log_weights = Target.of(model, x, mask).log_joint(z).detach() - q.log_prob(z)
    found = exact_elbo(model, x, mask, q)
    assert_mean(log_weights, found)
    assert_rejected(lambda: assert_mean(log_weights, found + 0.2))


def test_a_row_does_not_depend_on_its_batch_nor_on_how_many_nodes_are_held(monkeypatch):
    model, x, mask = decoder(5.0)
    mean, log_std = normals(2, 5, 2)
    expected = exact_elbo(model, x, mask, DiagonalGaussian(mean, log_std))
    # The attribute of the package is the function of the same name, not the module.
    monkeypatch.setattr(sys.modules["elboroom.infer.exact_elbo"], "_AT_A_TIME", 1 << 10)
    order = torch.tensor([3, 1, 4])
    some = DiagonalGaussian(mean[order], log_std[order])
    found = exact_elbo(model, x[order], mask[order], some)
    torch.testing.assert_close(found, expected[order], atol=1e-9, rtol=0)


class Opaque(Density):
    """A density whose covariance and parts are unknown; some rows are far from Gaussian.

    Its rows are mixtures of two Gaussians at ±1, the second with three quarters of the mass.
    """

    def __init__(self, std):
        mean = torch.tensor([-1.0, 1.0], dtype=torch.float64)[:, None, None].expand(2, 5, 2)
        stds = torch.full((5,), 1.0, dtype=torch.float64)
        stds[-1] = std
        scale = (stds[:, None, None] * torch.eye(2).double()).expand(2, 5, 2, 2)
        logits = torch.tensor([1.0, 3.0], dtype=torch.float64).log()[:, None].expand(2, 5)
        self.mixture = GaussianMixture(logits, Gaussian(mean, scale))

    @property
    def mean(self):
        return self.mixture.mean

    def sample(self, k, generator):
        return self.mixture.sample(k, generator)

    def log_prob(self, z):
        return self.mixture.log_prob(z)


@pytest.mark.parametrize("std", [0.12, 0.01])
def test_the_elbo_of_a_mixture_is_the_mean_of_its_log_weights(std):
    model, x, mask = decoder(1.0)
    q = Opaque(std).mixture
    z = q.sample(40_000, torch.Generator().manual_seed(5))
    log_weights = Target.of(model, x, mask).log_joint(z).detach() - q.log_prob(z)
    found = exact_elbo(model, x, mask, q)
    assert_mean(log_weights, found)
    assert_rejected(lambda: assert_mean(log_weights, found + 0.05))


def test_rows_far_from_a_gaussian_get_finer_nodes():
    model, x, mask = decoder(1.0)
    q = Opaque(0.2)
    found = elbo_of(Target.of(model, x, mask), q, torch.Generator().manual_seed(6))
    expected = exact_elbo(model, x, mask, q.mixture)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_density_too_far_from_a_gaussian_is_an_error():
    model, x, mask = decoder(1.0)
    with pytest.raises(QuadratureError, match="does not resolve"):
        elbo_of(Target.of(model, x, mask), Opaque(1e-3), torch.Generator().manual_seed(6))


def test_a_density_that_does_not_know_its_covariance_is_refused():
    model, x, mask = decoder(1.0)
    with pytest.raises(UsageError, match="covariance of a Opaque"):
        exact_elbo(model, x, mask, Opaque(1.0))


def test_four_latents_are_refused():
    exact = LinearGaussian(pixels=5, latents=4, seed=1)
    q = DiagonalGaussian.standard((2, 4), exact.bias)
    with pytest.raises(UsageError, match="over 4 latent dimensions"):
        exact_elbo(exact.model, exact.data(2, seed=1), None, q)


def test_bad_masks_are_refused():
    model, x, mask = decoder(1.0)
    q = DiagonalGaussian(*normals(2, 5, 2))
    with pytest.raises(UsageError, match="its type is"):
        exact_elbo(model, x, mask.float(), q)
    with pytest.raises(UsageError, match="NaN"):
        exact_elbo(model, x * math.nan, mask, q)
