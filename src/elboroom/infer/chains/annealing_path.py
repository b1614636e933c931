"""The path of densities from a Gaussian q₀ to p(z | x_seen), in coordinates where q₀ is N(0, I).

With z = μ + A u, the density at the inverse temperature β is f_β(u) ∝ N(u; 0, I) r(u)^β, where
r(u) = p(x_seen, z) / q₀(z).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.infer.chains.hamiltonian import State
from elboroom.infer.target import Target
from elboroom.model.normal import LOG_2PI
from elboroom.model.posteriors import AffineGaussian, Density, gaussian_of


@dataclass(frozen=True)
class PathPoint:
    """The positions of chains: u (C, B, D), log r(u) (C, B) in nats, ∇ log r(u) (C, B, D)."""

    u: Tensor
    log_ratio: Tensor
    gradient: Tensor

    def where(self, chosen: Tensor, other: "PathPoint") -> "PathPoint":
        """Return these positions where `chosen` (C, B) is True, the others elsewhere."""
        return PathPoint(
            torch.where(chosen[..., None], self.u, other.u),
            torch.where(chosen, self.log_ratio, other.log_ratio),
            torch.where(chosen[..., None], self.gradient, other.gradient),
        )


@dataclass(frozen=True)
class Path:
    """The geometric path from q₀ to each row's posterior; Neal (2001), equation 3.

    Attributes:
        target: log p(x_seen, z).
        start: q₀ with its root A, (B, D).
    """

    target: Target
    start: AffineGaussian

    @classmethod
    def of(cls, target: Target, start: Density) -> "Path":
        """Start the path at a Gaussian, or at the Gaussian with a mixture's mean and covariance.

        Raises:
            UsageError: if `start` is neither, or belongs to other rows.
        """
        q = _gaussian(start)
        target.require_fitted(q, "start")
        return cls(target, q)

    @property
    def mean(self) -> Tensor:
        """μ of q₀, (B, D)."""
        return self.start.mean

    def at(self, u: Tensor) -> PathPoint:
        """Evaluate log r and its gradient at u, (C, B, D)."""
        state = State.at(self.target, self.z(u))
        # log r(u) = log p(x, z) + ½ |u|² + D/2 log 2π + log |det A|
        log_ratio = state.log_joint + 0.5 * u.square().sum(-1) + self._log_volume
        # ∇ log r(u) = Aᵀ ∇ log p(x, z) + u
        gradient = self.start.pulled(state.gradient) + u
        return PathPoint(u, log_ratio, gradient)

    def z(self, u: Tensor) -> Tensor:
        """Compute z = μ + A u: (C, B, D) → (C, B, D)."""
        return self.start.at(u)

    def u(self, z: Tensor) -> Tensor:
        """Compute u = A⁻¹ (z − μ): (C, B, D) → (C, B, D)."""
        return self.start.standardised(z)

    @cached_property
    def _log_volume(self) -> Tensor:
        """−log q₀ at its mean, (B,)."""
        return self.start.log_det + 0.5 * self.target.latents * LOG_2PI


def _gaussian(q: Density) -> AffineGaussian:
    gaussian = gaussian_of(q)
    if gaussian is not None:
        return gaussian
    raise UsageError(
        f"annealing cannot start from a {type(q).__name__}",
        why="it starts from a Gaussian, or from a density whose mean and covariance are known",
        fix="start from infer.laplace, infer.encoder, or the prior, model.prior(len(x))",
    )
