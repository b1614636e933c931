"""Columns of positive numbers with Gaussian noise of their logarithm."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns.family import ColumnStart
from elboroom.model.likelihoods.columns.gaussian import GaussianColumns

_LARGEST_LOG = 85.0  # e⁸⁸ is beyond float32


@dataclass(frozen=True)
class LogNormalColumns(GaussianColumns):
    """log x = location + spread · y with y ~ N(l, σ²), l the decoder's output."""

    takes = "a positive number"

    @staticmethod
    def fits(x: Tensor, levels: Tensor) -> Tensor:
        """Return True where the family accepts a value of x (..., n)."""
        return (x > 0) & x.isfinite()

    @staticmethod
    def transform(x: Tensor) -> Tensor:
        """Compute log x."""
        return x.log()

    @classmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Begin with the mean and the standard deviation of the column's logarithm."""
        start = super().start(found, levels)
        return start._replace(fill=start.location.exp())

    @property
    def mean(self) -> Tensor:
        """E[x | z] = exp(location + spread · l + ½ (spread · σ)²), (..., n)."""
        half_variance = 0.5 * (self.units.spread * self.units.scale).square()
        return (super().mean + half_variance).clamp(max=_LARGEST_LOG).exp()

    @property
    def log_unit(self) -> Tensor:
        """The logarithm of the spread of log x times the median of x, (n,)."""
        # p(log x) is of the unit spread, and dx = x d log x.
        return super().log_unit + self.units.location

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        return super().sample(generator).clamp(max=_LARGEST_LOG).exp()

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log p(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        # log p(x) = log p(log x) − log x
        return super().log_prob(x) - x.log()

    def _standardised(self, x: Tensor) -> Tensor:
        return (x.log() - self.units.location) / self.units.spread
