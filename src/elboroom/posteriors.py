"""q(z | x): families of approximate posteriors, one member a row."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

_LOG_2PI = math.log(2 * math.pi)


class Family(Protocol):
    """A density over z for each of B rows, from which one can draw."""

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D)."""
        ...

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k draws, (k, B, D)."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        ...

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """k draws (k, B, D), and their log q in nats, (k, B)."""
        ...


@runtime_checkable
class Widenable(Family, Protocol):
    """A family whose members have wider ones of the same shape."""

    def widened(self, factor: float) -> Family:
        """With standard deviations `factor` times as large."""
        ...


@runtime_checkable
class Spread(Family, Protocol):
    """A family whose covariance is known."""

    @property
    def covariance(self) -> Tensor:
        """Cov_q[z], (B, D, D)."""
        ...


@runtime_checkable
class ClosedForm(Family, Protocol):
    """A family whose divergence from N(0, I) is known."""

    def kl_to_standard(self) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, (B,)."""
        ...


class _Scored:
    """Draws with their density, for a family whose density is as cheap as its draws."""

    def draw(self: Family, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """k draws (k, B, D), and their log q in nats, (k, B)."""
        z = self.sample(k, generator)
        return z, self.log_prob(z)


@dataclass(frozen=True)
class DiagonalGaussian(_Scored):
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
        # z = μ + σ ε
        return self.mean + self.log_std.exp() * _noise(k, self.mean, generator)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        eps = (z - self.mean) * (-self.log_std).exp()
        # log q(z) = −½ Σ_d [ ε_d² + log 2π ] − Σ_d log σ_d
        return -0.5 * (eps.square() + _LOG_2PI).sum(-1) - self.log_std.sum(-1)

    def log_prob_per_latent(self, z: Tensor) -> Tensor:
        """log q(z_d) in nats, of each latent alone, z (..., B, D) → (..., B, D)."""
        eps = (z - self.mean) * (-self.log_std).exp()
        return -0.5 * (eps.square() + _LOG_2PI) - self.log_std

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
class Gaussian(_Scored):
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
        return self.mean + _times(self.scale, _noise(k, self.mean, generator))

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
class LowRankGaussian(_Scored):
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
        eps = _noise(k, self.mean, generator)
        eta = _noise(k, self.factor[..., 0, :], generator)
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


@dataclass(frozen=True)
class GaussianMixture(_Scored):
    """Σ_m π_m N(μ_m, A_m A_mᵀ), one a row.

    Attributes:
        logits: (M, B), log π up to a constant of each row.
        components: the M Gaussians of each row, their means (M, B, D).
    """

    logits: Tensor
    components: Gaussian

    @property
    def log_mass(self) -> Tensor:
        """log π, (M, B)."""
        return torch.log_softmax(self.logits, 0)

    @property
    def mean(self) -> Tensor:
        """E_q[z] = Σ_m π_m μ_m, (B, D)."""
        return (self.log_mass.exp()[..., None] * self.components.mean).sum(0)

    @property
    def covariance(self) -> Tensor:
        """Cov_q[z], (B, D, D)."""
        apart = self.components.mean - self.mean
        # Σ = Σ_m π_m [ Σ_m + (μ_m − μ)(μ_m − μ)ᵀ ]
        parts = self.components.covariance + apart[..., :, None] * apart[..., None, :]
        return (self.log_mass.exp()[..., None, None] * parts).sum(0)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k draws, (k, B, D): a component for each, then z of that component."""
        which = torch.multinomial(self.log_mass.exp().T, k, True, generator=generator).T
        z = self.components.sample(k, generator)
        index = which[:, None, :, None].expand(-1, 1, -1, z.shape[-1])
        return z.gather(1, index)[:, 0]

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        # log q(z) = log Σ_m π_m N(z; μ_m, Σ_m)
        return torch.logsumexp(self.log_mass + self.components.log_prob(z[..., None, :, :]), -2)

    def widened(self, factor: float) -> "GaussianMixture":
        """With components whose standard deviations are `factor` times as large."""
        return GaussianMixture(self.logits, self.components.widened(factor))


def _noise(k: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal ε, k times the shape of `like`."""
    shape = (k, *like.shape)
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """A matrix of each row (*S, D, R) times many vectors (..., *S, R), (..., *S, D)."""
    rows = matrices.shape[:-2]
    flat = vectors.reshape(-1, rows.numel(), vectors.shape[-1])
    product = torch.einsum("sdr,ksr->ksd", matrices.flatten(0, -3), flat)
    return product.reshape(*vectors.shape[:-1], matrices.shape[-2])
