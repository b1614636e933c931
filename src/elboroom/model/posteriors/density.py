"""The contract of a density over z, and the diagonal Gaussian."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import torch
from torch import Tensor

from elboroom.config import MethodName
from elboroom.errors import UsageError
from elboroom.html_table import Shown, Summary
from elboroom.model.normal import LOG_2PI, log_standard_normal
from elboroom.randomness import normals


class Density(Shown, ABC):
    """A density over z for each of B rows: an approximate posterior, or a prior.

    Implementing a density:
        Derive a frozen dataclass from this class and write `mean`, `sample` and `log_prob`. Keep
        gradients from draws and densities to the parameters, so that the density can be trained.

        Everything else is optional. Override `draw` if the density of a draw is cheaper than
        `log_prob`, as in a flow. Override `covariance`, `marginals`, `kl_to_standard` or `widened`
        if they have a closed form: None, their default, means that they are unknown, and callers
        estimate or refuse. An encoder's q also needs `detached`, for the gradients other than
        plain ones, and `at`, for the Gibbs samplers. Set `best_fit` if a method of `elboroom.infer`
        fits the same family to each row; `elboroom gaps` then splits the gap of the encoder by that
        fit.
    """

    best_fit: ClassVar[MethodName | None] = None
    """The method of inference that fits the best member of the same family to each row."""

    def _summary(self) -> Summary:
        shapes = {
            name: " × ".join(map(str, value.shape))
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return Summary("", shapes)

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E_q[z], (B, D)."""

    @abstractmethod
    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k values of z for each row, (k, B, D)."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw k values of z for each row, (k, B, D), with their log q in nats, (k, B)."""
        z = self.sample(k, generator)
        return z, self.log_prob(z)

    @property
    def covariance(self) -> Tensor | None:
        """Cov_q[z], (B, D, D); None if unknown."""
        return None

    @property
    def marginals(self) -> "DiagonalGaussian | None":
        """q(z_d) of each latent alone, if they are Gaussian; None if they are not, or unknown."""
        return None

    @property
    def independent(self) -> "DiagonalGaussian | None":
        """A Gaussian of independent latents near q, as a start for fits.

        By default `marginals`; None if not known.
        """
        return self.marginals

    def kl_to_standard(self) -> Tensor | None:
        """Compute KL(q ‖ N(0, I)) in nats, (B,); return None if it has no closed form."""
        return None

    def widened(self, factor: float) -> "Density | None":
        """Multiply the standard deviations by `factor`; return None if the family cannot."""
        return None

    @property
    def widened_directions(self) -> int:
        """The number of directions of z that `widened` widens; by default D, all."""
        return self.mean.shape[-1]

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise ε into z, (..., B, D) → (..., B, D).

        Raises:
            UsageError: the density is not reparameterised, as by default.
        """
        raise self._lacks("at", "z is computed from standard normal noise")

    def detached(self) -> "Density":
        """Return the same density without gradients to its parameters.

        Raises:
            UsageError: the density does not implement this, as by default.
        """
        raise self._lacks("detached", "the gradient needs log q(z) with fixed parameters")

    def _lacks(self, member: str, why: str) -> UsageError:
        name = type(self).__name__
        return UsageError(
            f"{name} does not implement `{member}`",
            why=f"{why}, and `{member}` is optional in a Density",
            fix=f"implement {name}.{member}, or choose another method, objective or posterior",
        )


@dataclass(frozen=True, repr=False)
class LocatedDensity(Density):
    """A reparameterised density whose mean is one of its parameters, `location` (B, D)."""

    location: Tensor

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D)."""
        return self.location

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k reparameterised z for each row, (k, B, D): Kingma & Welling (2013), 2.4."""
        return self.at(normals((k, *self.location.shape), self.location, generator))


class AffineGaussian(LocatedDensity):
    """N(μ, A Aᵀ) for each row, by any root A of Σ, whose products need not be those of a matrix."""

    @abstractmethod
    def spread(self, eps: Tensor) -> Tensor:
        """Compute A ε, (..., B, D) → (..., B, D)."""

    @abstractmethod
    def pulled(self, gradient: Tensor) -> Tensor:
        """Compute Aᵀ g, the gradient by ε from that by z, (..., B, D) → (..., B, D)."""

    @abstractmethod
    def standardised(self, z: Tensor) -> Tensor:
        """Compute ε = A⁻¹ (z − μ), (..., B, D) → (..., B, D)."""

    @property
    @abstractmethod
    def log_det(self) -> Tensor:
        """log |det A|, (B,)."""

    @abstractmethod
    def widened(self, factor: float) -> "AffineGaussian":
        """Multiply the standard deviations by `factor`."""

    @abstractmethod
    def detached(self) -> "AffineGaussian":
        """Return the same density without gradients to its parameters."""

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The fields, each (B, ...); the class makes the same density of them."""
        return tuple(getattr(self, f.name) for f in fields(self))

    def rows(self, index: Tensor) -> Self:
        """Return the Gaussians of some rows."""
        return type(self)(*(one[index] for one in self.parameters))

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise ε into z, (..., B, D) → (..., B, D)."""
        # z = μ + A ε
        return self.location + self.spread(eps)


@dataclass(frozen=True, repr=False)
class DiagonalGaussian(AffineGaussian):
    """N(μ, diag σ²) for each row: `location` is μ and `log_std` is log σ, both (B, D).

    Example:
        >>> from elboroom import DiagonalGaussian
        >>> q = DiagonalGaussian(torch.tensor([[1.0, 0.0]]), log_std=torch.zeros(1, 2))
        >>> q.kl_to_standard()  # ½ |μ|² nats, for σ = 1
        tensor([0.5000])
        >>> q.sample(100, generator).shape
        torch.Size([100, 1, 2])
    """

    log_std: Tensor

    best_fit = "svi"

    @classmethod
    def standard(cls, shape: tuple[int, ...], like: Tensor) -> "DiagonalGaussian":
        """Return N(0, I) of `shape`, with the type and device of `like`."""
        zeros = like.new_zeros(shape)
        return cls(zeros, zeros)

    @property
    def covariance(self) -> Tensor:
        """Σ = diag σ², (B, D, D)."""
        return torch.diag_embed((2 * self.log_std).exp())

    @property
    def marginals(self) -> "DiagonalGaussian":
        """q(z_d) of each latent alone: q itself."""
        return self

    def spread(self, eps: Tensor) -> Tensor:
        """Compute σ ε, (..., B, D) → (..., B, D)."""
        return self.log_std.exp() * eps

    def pulled(self, gradient: Tensor) -> Tensor:
        """Compute σ g, the gradient by ε from that by z, (..., B, D) → (..., B, D)."""
        return self.log_std.exp() * gradient

    def standardised(self, z: Tensor) -> Tensor:
        """Compute ε = (z − μ)/σ, (..., B, D) → (..., B, D)."""
        return (z - self.location) * (-self.log_std).exp()

    @property
    def log_det(self) -> Tensor:
        """Σ_d log σ_d, (B,)."""
        return self.log_std.sum(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        # log q(z) = log N(ε; 0, I) − Σ_d log σ_d
        return log_standard_normal(self.standardised(z)) - self.log_det

    def log_prob_per_latent(self, z: Tensor) -> Tensor:
        """Compute log q(z_d) of each latent alone in nats, z (..., B, D) → (..., B, D)."""
        eps = (z - self.location) * (-self.log_std).exp()
        return -0.5 * (eps.square() + LOG_2PI) - self.log_std

    def kl_to_standard(self) -> Tensor:
        """Compute KL(q ‖ N(0, I)) in nats, (B,): Kingma & Welling (2013), appendix B."""
        return self.kl_per_latent().sum(-1)

    def kl_per_latent(self) -> Tensor:
        """Compute KL(q(z_d) ‖ N(0, 1)) of each latent in nats, (B, D)."""
        # KL_d = ½ [ μ_d² + σ_d² − 1 − log σ_d² ]
        variance = (2 * self.log_std).exp()
        return 0.5 * (self.location.square() + variance - 1 - 2 * self.log_std)

    def kl_to(self, other: "DiagonalGaussian") -> Tensor:
        """Compute KL(q ‖ r) to another diagonal Gaussian r of each row in nats, (B,)."""
        variance, apart = (2 * self.log_std).exp(), self.location - other.location
        # KL = Σ_d log σ_r/σ_q + ½ [ σ_q² + (μ_q − μ_r)² ] / σ_r² − ½
        squares = (variance + apart.square()) * (-2 * other.log_std).exp()
        return (other.log_std - self.log_std + 0.5 * (squares - 1)).sum(-1)

    def widened(self, factor: float) -> "DiagonalGaussian":
        """Multiply the standard deviations by `factor`."""
        return DiagonalGaussian(self.location, self.log_std + math.log(factor))

    def detached(self) -> "DiagonalGaussian":
        """Return the same density without gradients to its parameters."""
        return DiagonalGaussian(self.location.detach(), self.log_std.detach())
