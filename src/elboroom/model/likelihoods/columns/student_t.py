"""Columns of real numbers with heavy-tailed noise."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns.family import ColumnFamily, ColumnStart, plain_start
from elboroom.randomness import uniforms

# With 5 degrees of freedom four moments are finite, so the mean, the standard deviation and their
# errors exist. A learned number would be hard to tell from the learned scale.
DEGREES_OF_FREEDOM = 5.0
_LOG_NORM = (
    math.lgamma((DEGREES_OF_FREEDOM + 1) / 2)
    - math.lgamma(DEGREES_OF_FREEDOM / 2)
    - 0.5 * math.log(DEGREES_OF_FREEDOM * math.pi)
)


@dataclass(frozen=True)
class StudentTColumns(ColumnFamily):
    """x = location + spread · y with (y − l)/σ ~ t_ν, ν = 5, l the decoder's output.

    Lange, Little & Taylor, *Robust statistical modeling using the t distribution* (1989); as the
    decoder of a VAE, Mattei & Frellsen, *MIWAE* (2019).
    """

    has_scale = True

    @classmethod
    def encoded(
        cls, x: Tensor, location: Tensor, spread: Tensor, levels: tuple[int, ...]
    ) -> Tensor:
        """Compute asinh y: about y where it is small, and log 2|y| in the tails."""
        return super().encoded(x, location, spread, levels).asinh()

    @classmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Begin with the mean and the standard deviation of the column."""
        # Var[y] = σ² ν/(ν − 2)
        return plain_start(found, math.sqrt(1 - 2 / DEGREES_OF_FREEDOM), levels)

    @property
    def mean(self) -> Tensor:
        """E[x | z] = location + spread · l, (..., n)."""
        return self.units.location + self.units.spread * self.output

    @property
    def parameters(self) -> dict[str, Tensor]:
        """`location` and `scale`, each (..., n)."""
        scale = self.units.spread * self.units.scale
        return {"location": self.mean, "scale": scale.expand_as(self.output)}

    @property
    def log_unit(self) -> Tensor:
        """The logarithm of the spread, (n,)."""
        return self.units.spread.log()

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n).

        Bailey, *Polar generation of random variates with the t-distribution* (1994).
        """
        u, v = uniforms((2, *self.output.shape), self.output, generator)
        # ε = √(ν ((1 − u)^(−2/ν) − 1)) cos 2πv
        power = torch.expm1(-2 / DEGREES_OF_FREEDOM * torch.log1p(-u))
        eps = (DEGREES_OF_FREEDOM * power).sqrt() * torch.cos(2 * math.pi * v)
        y = self.output + self.units.scale * eps
        return self.units.location + self.units.spread * y

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log p(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        tail = torch.log1p(self._residual(x).square() / DEGREES_OF_FREEDOM)
        volume = (self.units.scale * self.units.spread).log() - _LOG_NORM
        # −½ (ν + 1) log(1 + ε²/ν) − log σ − log spread + const
        return -0.5 * (DEGREES_OF_FREEDOM + 1) * tail - volume

    def score(self, x: Tensor) -> Tensor:
        """Compute ∂ log p(x_i | z) by l, (..., B, n)."""
        eps = self._residual(x)
        # (ν + 1) ε / (ν + ε²) / σ
        weight = (DEGREES_OF_FREEDOM + 1) / (DEGREES_OF_FREEDOM + eps.square())
        return weight * eps / self.units.scale

    def information(self) -> Tensor:
        """Compute the Fisher information (ν + 1)/(ν + 3)/σ² of x on l, (..., n)."""
        share = (DEGREES_OF_FREEDOM + 1) / (DEGREES_OF_FREEDOM + 3)
        return torch.full_like(self.output, share) / self.units.scale.square()

    def _residual(self, x: Tensor) -> Tensor:
        y = (x - self.units.location) / self.units.spread
        return (y - self.output) / self.units.scale
