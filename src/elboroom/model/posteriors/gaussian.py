"""Correlated Gaussians, by any root of Σ, by its Cholesky factor, and of low rank."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from elboroom.model.linear_algebra import times
from elboroom.model.normal import LOG_2PI, log_standard_normal
from elboroom.model.posteriors.density import AffineGaussian, DiagonalGaussian, LocatedDensity
from elboroom.randomness import normals


@dataclass(frozen=True, repr=False)
class Gaussian(AffineGaussian):
    """N(μ, A Aᵀ) for each row: `location` is μ (B, D), `scale` is A, any root of Σ, (B, D, D)."""

    scale: Tensor

    best_fit = "svi-full"

    @property
    def covariance(self) -> Tensor:
        """Σ = A Aᵀ, (B, D, D)."""
        return self.scale @ self.scale.mT

    def spread(self, eps: Tensor) -> Tensor:
        """Compute A ε, (..., B, D) → (..., B, D)."""
        return times(self.scale, eps)

    def pulled(self, gradient: Tensor) -> Tensor:
        """Compute Aᵀ g, the gradient by ε from that by z, (..., B, D) → (..., B, D)."""
        return times(self.scale.mT, gradient)

    def standardised(self, z: Tensor) -> Tensor:
        """Compute ε = A⁻¹ (z − μ), (..., B, D) → (..., B, D)."""
        return torch.linalg.solve(self.scale, (z - self.location)[..., None])[..., 0]

    @property
    def log_det(self) -> Tensor:
        """log |det A|, (B,)."""
        return torch.linalg.slogdet(self.scale).logabsdet

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        eps = times(torch.linalg.inv(self.scale), z - self.location)
        # log q(z) = log N(ε; 0, I) − log |det A|
        return log_standard_normal(eps) - self.log_det

    @property
    def marginals(self) -> DiagonalGaussian:
        """q(z_d) of each latent alone."""
        return DiagonalGaussian(self.location, 0.5 * self.scale.square().sum(-1).log())

    def kl_to_standard(self) -> Tensor:
        """Compute KL(q ‖ N(0, I)) in nats, (B,)."""
        # KL = ½ [ |μ|² + tr A Aᵀ − D ] − log |det A|
        squares = self.location.square().sum(-1) + self.scale.square().sum((-1, -2))
        return 0.5 * (squares - self.location.shape[-1]) - self.log_det

    def widened(self, factor: float) -> "Gaussian":
        """Multiply the standard deviations by `factor`."""
        return Gaussian(self.location, factor * self.scale)

    def detached(self) -> "Gaussian":
        """Return the same density without gradients to its parameters."""
        return Gaussian(self.location.detach(), self.scale.detach())


@dataclass(frozen=True, repr=False)
class CholeskyGaussian(LocatedDensity):
    """N(μ, L Lᵀ) for each row, L = diag σ · (I + N) with N strictly lower triangular.

    Attributes:
        location: μ, (B, D).
        log_std: log σ, (B, D).
        lower: N row by row, (B, D (D − 1)/2).
    """

    log_std: Tensor
    lower: Tensor

    best_fit = "svi-full"

    @property
    def unit(self) -> Tensor:
        """I + N, (B, D, D)."""
        rows, latents = self.location.shape
        row, column = torch.tril_indices(latents, latents, -1, device=self.location.device)
        identity = torch.eye(latents, dtype=self.location.dtype, device=self.location.device)
        places = (torch.arange(rows, device=row.device)[:, None], row, column)
        return identity.repeat(rows, 1, 1).index_put(places, self.lower)

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
        """q(z_d) of each latent alone."""
        return DiagonalGaussian(self.location, 0.5 * self.scale.square().sum(-1).log())

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise ε into z, (..., B, D) → (..., B, D)."""
        # z = μ + L ε
        return self.location + times(self.scale, eps)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        u = (z - self.location) * (-self.log_std).exp()
        columns = u.reshape(-1, *self.location.shape).permute(1, 2, 0)
        # ε = L⁻¹ (z − μ)
        eps = torch.linalg.solve_triangular(self.unit, columns, upper=False, unitriangular=True)
        # log q(z) = −½ Σ_d [ ε_d² + log 2π ] − Σ_d log σ_d, the latents being axis 1 of ε
        log_prob = -0.5 * (eps.square() + LOG_2PI).sum(1).T - self.log_std.sum(-1)
        return log_prob.view(z.shape[:-1])

    def kl_to_standard(self) -> Tensor:
        """Compute KL(q ‖ N(0, I)) in nats, (B,)."""
        # KL = ½ [ |μ|² + tr L Lᵀ − D ] − Σ_d log σ_d
        squares = self.location.square().sum(-1) + self.scale.square().sum((-1, -2))
        return 0.5 * (squares - self.location.shape[-1]) - self.log_std.sum(-1)

    def widened(self, factor: float) -> "CholeskyGaussian":
        """Multiply the standard deviations by `factor`."""
        return CholeskyGaussian(self.location, self.log_std + math.log(factor), self.lower)

    def detached(self) -> "CholeskyGaussian":
        """Return the same density without gradients to its parameters."""
        return CholeskyGaussian(self.location.detach(), self.log_std.detach(), self.lower.detach())


@dataclass(frozen=True, repr=False)
class LowRankGaussian(LocatedDensity):
    """N(μ, F Fᵀ + diag σ²) for each row.

    Attributes:
        location: μ, (B, D).
        log_std: log σ, (B, D).
        factor: F, (B, D, R).
    """

    log_std: Tensor
    factor: Tensor

    best_fit = "svi-low-rank"

    @property
    def covariance(self) -> Tensor:
        """Σ = F Fᵀ + diag σ², (B, D, D)."""
        return self.factor @ self.factor.mT + torch.diag_embed((2 * self.log_std).exp())

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k reparameterised z for each row, (k, B, D)."""
        eps = normals((k, *self.location.shape), self.location, generator)
        eta = normals((k, *self.factor[..., 0, :].shape), self.factor, generator)
        # z = μ + σ ε + F η
        return self.location + self.log_std.exp() * eps + times(self.factor, eta)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        parameters = self.location, self.factor, (2 * self.log_std).exp()
        return LowRankMultivariateNormal(*parameters, validate_args=False).log_prob(z)

    def widened(self, factor: float) -> "LowRankGaussian":
        """Multiply the standard deviations by `factor`."""
        return LowRankGaussian(self.location, self.log_std + math.log(factor), factor * self.factor)
