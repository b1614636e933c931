"""Gaussians, one a row: diagonal, by any root of Σ, by its Cholesky factor, and of low rank."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from elboroom.model.posteriors.density import Density, Scored, Spread
from elboroom.randomness import normals

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class DiagonalGaussian(Scored):
    """N(mean, diag σ²) over z, one a row: `mean` and `log_std` are (B, D)."""

    mean: Tensor
    log_std: Tensor

    @classmethod
    def standard(cls, shape: tuple[int, ...], like: Tensor) -> "DiagonalGaussian":
        """N(0, I) of `shape`, with the type and device of `like`."""
        zeros = like.new_zeros(shape)
        return cls(zeros, zeros)

    @property
    def covariance(self) -> Tensor:
        """Σ = diag σ², (B, D, D)."""
        return torch.diag_embed((2 * self.log_std).exp())

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k reparameterised draws z = μ + σ ε (Kingma & Welling, 2013, section 2.4), (k, B, D)."""
        return self.at(normals((k, *self.mean.shape), self.mean, generator))

    def at(self, eps: Tensor) -> Tensor:
        """z of given ε, (..., B, D) → (..., B, D)."""
        # z = μ + σ ε
        return self.mean + self.log_std.exp() * eps

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        eps = (z - self.mean) * (-self.log_std).exp()
        # log q(z) = −½ Σ_d [ ε_d² + log 2π ] − Σ_d log σ_d
        return -0.5 * (eps.square() + _LOG_2PI).sum(-1) - self.log_std.sum(-1)

    def log_prob_per_latent(self, z: Tensor) -> Tensor:
        """log q(z_d) in nats, of each latent alone, z (..., B, D) → (..., B, D)."""
        eps = (z - self.mean) * (-self.log_std).exp()
        return -0.5 * (eps.square() + _LOG_2PI) - self.log_std

    @property
    def marginals(self) -> "DiagonalGaussian":
        """q(z_d) of each latent: q itself."""
        return self

    def widened(self, factor: float) -> "DiagonalGaussian":
        """With standard deviations `factor` times as large."""
        return DiagonalGaussian(self.mean, self.log_std + math.log(factor))

    def detached(self) -> "DiagonalGaussian":
        """The same density, without gradients to its parameters."""
        return DiagonalGaussian(self.mean.detach(), self.log_std.detach())

    def kl_to_standard(self) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, (B,): Kingma & Welling (2013), appendix B."""
        return self.kl_per_latent().sum(-1)

    def kl_per_latent(self) -> Tensor:
        """Its terms, (B, D)."""
        # KL_d = ½ [ μ_d² + σ_d² − 1 − log σ_d² ]
        variance = (2 * self.log_std).exp()
        return 0.5 * (self.mean.square() + variance - 1 - 2 * self.log_std)


@dataclass(frozen=True)
class Gaussian(Scored):
    """N(mean, A Aᵀ) over z, one a row: `mean` (B, D); `scale` is A, any root of Σ, (B, D, D)."""

    mean: Tensor
    scale: Tensor

    @property
    def covariance(self) -> Tensor:
        """Σ = A Aᵀ, (B, D, D)."""
        return self.scale @ self.scale.mT

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k reparameterised draws, (k, B, D)."""
        # z = μ + A ε
        return self.mean + _times(self.scale, normals((k, *self.mean.shape), self.mean, generator))

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        eps = _times(torch.linalg.inv(self.scale), z - self.mean)
        log_det = torch.linalg.slogdet(self.scale).logabsdet
        # log q(z) = −½ Σ_d [ ε_d² + log 2π ] − log |det A|
        return -0.5 * (eps.square() + _LOG_2PI).sum(-1) - log_det

    def widened(self, factor: float) -> "Gaussian":
        """With standard deviations `factor` times as large."""
        return Gaussian(self.mean, factor * self.scale)


@dataclass(frozen=True)
class CholeskyGaussian(Scored):
    """N(mean, L Lᵀ) over z, one a row, L = diag σ · (I + N) with N strictly lower triangular.

    Attributes:
        mean: (B, D).
        log_std: (B, D), log σ.
        lower: (B, D (D − 1)/2), N row by row.
    """

    mean: Tensor
    log_std: Tensor
    lower: Tensor

    @property
    def unit(self) -> Tensor:
        """I + N, (B, D, D)."""
        latents = self.mean.shape[-1]
        row, column = torch.tril_indices(latents, latents, -1, device=self.mean.device)
        identity = torch.eye(latents, dtype=self.mean.dtype, device=self.mean.device)
        places = (torch.arange(len(self.mean), device=row.device)[:, None], row, column)
        return identity.repeat(len(self.mean), 1, 1).index_put(places, self.lower)

    @property
    def scale(self) -> Tensor:
        """L, (B, D, D)."""
        return self.log_std.exp()[..., None] * self.unit

    @property
    def covariance(self) -> Tensor:
        """Σ = L Lᵀ, (B, D, D)."""
        scale = self.scale
        return scale @ scale.mT

    @property
    def marginals(self) -> DiagonalGaussian:
        """q(z_d) of each latent."""
        return DiagonalGaussian(self.mean, 0.5 * self.scale.square().sum(-1).log())

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k reparameterised draws, (k, B, D)."""
        return self.at(normals((k, *self.mean.shape), self.mean, generator))

    def at(self, eps: Tensor) -> Tensor:
        """z of given ε, (..., B, D) → (..., B, D)."""
        # z = μ + L ε
        return self.mean + _times(self.scale, eps)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        u = (z - self.mean) * (-self.log_std).exp()
        columns = u.reshape(-1, *self.mean.shape).permute(1, 2, 0)
        # ε = L⁻¹ (z − μ)
        eps = torch.linalg.solve_triangular(self.unit, columns, upper=False, unitriangular=True)
        # log q(z) = −½ Σ_d [ ε_d² + log 2π ] − Σ_d log σ_d
        log_prob = -0.5 * (eps.square() + _LOG_2PI).sum(1).T - self.log_std.sum(-1)
        return log_prob.view(z.shape[:-1])

    def widened(self, factor: float) -> "CholeskyGaussian":
        """With standard deviations `factor` times as large."""
        return CholeskyGaussian(self.mean, self.log_std + math.log(factor), self.lower)

    def detached(self) -> "CholeskyGaussian":
        """The same density, without gradients to its parameters."""
        return CholeskyGaussian(self.mean.detach(), self.log_std.detach(), self.lower.detach())

    def kl_to_standard(self) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, (B,)."""
        # KL = ½ [ |μ|² + tr L Lᵀ − D ] − Σ_d log σ_d
        squares = self.mean.square().sum(-1) + self.scale.square().sum((-1, -2))
        return 0.5 * (squares - self.mean.shape[-1]) - self.log_std.sum(-1)


@dataclass(frozen=True)
class LowRankGaussian(Scored):
    """N(mean, F Fᵀ + diag σ²), one a row: `mean`, `log_std` (B, D); `factor` is F, (B, D, R)."""

    mean: Tensor
    log_std: Tensor
    factor: Tensor

    @property
    def covariance(self) -> Tensor:
        """Σ = F Fᵀ + diag σ², (B, D, D)."""
        return self.factor @ self.factor.mT + torch.diag_embed((2 * self.log_std).exp())

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k reparameterised draws, (k, B, D)."""
        eps = normals((k, *self.mean.shape), self.mean, generator)
        eta = normals((k, *self.factor[..., 0, :].shape), self.factor, generator)
        # z = μ + σ ε + F η
        return self.mean + self.log_std.exp() * eps + _times(self.factor, eta)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        variance = (2 * self.log_std).exp()
        normal = LowRankMultivariateNormal(self.mean, self.factor, variance, validate_args=False)
        return normal.log_prob(z)

    def widened(self, factor: float) -> "LowRankGaussian":
        """With standard deviations `factor` times as large."""
        return LowRankGaussian(self.mean, self.log_std + math.log(factor), factor * self.factor)


def gaussian_of(q: Density) -> Gaussian | None:
    """The Gaussian with the mean and the covariance of q; None where q does not know them."""
    if isinstance(q, Gaussian):
        return q
    return Gaussian(q.mean, torch.linalg.cholesky(q.covariance)) if isinstance(q, Spread) else None


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """A matrix of each row (*S, D, R) times many vectors (..., *S, R), (..., *S, D)."""
    rows = matrices.shape[:-2]
    flat = vectors.reshape(-1, rows.numel(), vectors.shape[-1])
    product = torch.einsum("sdr,ksr->ksd", matrices.flatten(0, -3), flat)
    return product.reshape(*vectors.shape[:-1], matrices.shape[-2])
