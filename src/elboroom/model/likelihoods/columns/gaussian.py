"""Columns of real numbers with Gaussian noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns.family import ColumnFamily, ColumnStart, plain_start
from elboroom.model.normal import LOG_2PI
from elboroom.randomness import normals


@dataclass(frozen=True)
class GaussianColumns(ColumnFamily):
    """x = location + spread · y with y ~ N(l, σ²), l the decoder's output."""

    has_scale = True

    @classmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Begin with the mean and the standard deviation of the column."""
        return plain_start(found, 1.0, levels)

    @property
    def mean(self) -> Tensor:
        """E[x | z] = location + spread · l, (..., n)."""
        return self.units.location + self.units.spread * self.output

    @property
    def parameters(self) -> dict[str, Tensor]:
        """`location` and `scale` of t(x), each (..., n)."""
        location = self.units.location + self.units.spread * self.output
        scale = self.units.spread * self.units.scale
        return {"location": location, "scale": scale.expand_as(location)}

    @property
    def log_unit(self) -> Tensor:
        """The logarithm of the spread, (n,)."""
        return self.units.spread.log()

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        eps = normals(self.output.shape, self.output, generator)
        # x = location + spread (l + σ ε)
        y = self.output + self.units.scale * eps
        return self.units.location + self.units.spread * y

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log p(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        eps = (self._standardised(x) - self.output) / self.units.scale
        # log N(y; l, σ²) − log spread = −½ ε² − log σ − ½ log 2π − log spread
        constant = self.units.scale.log() + 0.5 * LOG_2PI + self.units.spread.log()
        return torch.addcmul(-constant, eps, eps, value=-0.5)

    def score(self, x: Tensor) -> Tensor:
        """Compute ∂ log p(x_i | z) by l, (..., B, n)."""
        # (y − l) / σ²
        return (self._standardised(x) - self.output) / self.units.scale.square()

    def information(self) -> Tensor:
        """Compute the Fisher information 1/σ² of x on l, (..., n)."""
        return torch.ones_like(self.output) / self.units.scale.square()

    def _standardised(self, x: Tensor) -> Tensor:
        return (x - self.units.location) / self.units.spread
