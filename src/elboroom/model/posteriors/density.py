"""What families of approximate posteriors know, one member a row."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class Density(Protocol):
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
class Widenable(Density, Protocol):
    """A family whose members have wider ones of the same shape."""

    def widened(self, factor: float) -> Density:
        """With standard deviations `factor` times as large."""
        ...


@runtime_checkable
class Spread(Density, Protocol):
    """A family whose covariance is known."""

    @property
    def covariance(self) -> Tensor:
        """Cov_q[z], (B, D, D)."""
        ...


@runtime_checkable
class ClosedForm(Density, Protocol):
    """A family whose divergence from N(0, I) is known."""

    def kl_to_standard(self) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, (B,)."""
        ...


@runtime_checkable
class Reparameterised(Density, Protocol):
    """A family whose draws are a function of standard normal noise."""

    def at(self, eps: Tensor) -> Tensor:
        """z of given ε, (..., B, D) → (..., B, D)."""
        ...


class Scored:
    """Draws with their density, for a family whose density is as cheap as its draws."""

    def draw(self: Density, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """k draws (k, B, D), and their log q in nats, (k, B)."""
        z = self.sample(k, generator)
        return z, self.log_prob(z)
