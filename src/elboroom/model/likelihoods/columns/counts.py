"""Counts: the rate of a decoder's output, and what Poisson and negative binomial share."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns.family import ColumnFamily, ColumnStart, spread_of
from elboroom.model.likelihoods.wide import wide
from elboroom.randomness import normals, uniforms

_BOUND = 10.0  # spreads of the log rate around its location that an output reaches at most
_LARGEST_LOG = 80.0  # e⁸⁸ is beyond float32
_HALVINGS = 6  # of the 33 + 31 counts around the normal approximation of a quantile
_REACH = 32.0
_LEAST_UNIFORM = 2.0**-54  # stands for 0, the only draw below it
_PROPOSALS = 12  # each is refused with a probability below 0.05


@dataclass(frozen=True)
class Counts(ColumnFamily):
    """Whole numbers with a log rate location + spread · b(l), b(l) = 10 tanh l/10.

    The bound b keeps a rate finite for any output, and is the output itself near 0.
    """

    takes = "a whole number, 0 or more"
    is_density = False

    @staticmethod
    def fits(x: Tensor, levels: Tensor) -> Tensor:
        """Return True where the family accepts a value of x (..., n)."""
        return (x >= 0) & (x == x.round()) & x.isfinite()

    @staticmethod
    def transform(x: Tensor) -> Tensor:
        """Compute log(1 + x)."""
        return x.log1p()

    @classmethod
    def measured(cls, x: Tensor, levels: tuple[int, ...]) -> Tensor:
        """Return log(1 + x), then x."""
        return torch.cat([x.log1p(), x], -1)

    @classmethod
    def measured_size(cls, levels: tuple[int, ...]) -> int:
        """Count both."""
        return 2 * len(levels)

    @classmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Begin with the mean of the column, and with the spread of its logarithm."""
        logs, plain = found.parts([len(levels)] * 2)
        # Half a count more keeps the rate of a column of zeros away from 0.
        mean = (plain.location * plain.count + 0.5) / (plain.count + 0.5)
        zeros, spread = torch.zeros_like(mean), spread_of(logs)
        scale = cls.scale_of(mean, plain.std.nan_to_num())
        return ColumnStart(mean.log(), spread, scale, logs.location, spread, zeros, zeros)

    @classmethod
    def scale_of(cls, mean: Tensor, std: Tensor) -> Tensor:
        """Compute the initial scale from mean and standard deviation, (n,); by default 1."""
        return torch.ones_like(mean)

    @property
    def log_rate(self) -> Tensor:
        """Log E[x | z], (..., n)."""
        bounded = _BOUND * torch.tanh(self.output / _BOUND)
        return (self.units.location + self.units.spread * bounded).clamp(max=_LARGEST_LOG)

    @property
    def mean(self) -> Tensor:
        """E[x | z], (..., n)."""
        return self.log_rate.exp()

    def score(self, x: Tensor) -> Tensor:
        """Compute ∂ log p(x_i | z) by l, (..., B, n)."""
        return (x - self.mean) * self._share * self._slope

    def information(self) -> Tensor:
        """Compute the Fisher information of x on l, (..., n)."""
        return self.mean * self._share * self._slope.square()

    @property
    @abstractmethod
    def _share(self) -> Tensor:
        """The derivative of log p by the log rate is this times x − rate; (..., n)."""

    @property
    def _slope(self) -> Tensor:
        """The derivative of the log rate by l, (..., n)."""
        slope = 1 - torch.tanh(self.output / _BOUND).square()
        return torch.where(self.log_rate < _LARGEST_LOG, self.units.spread * slope, 0.0)


def draw_poisson(rate: Tensor, generator: torch.Generator) -> Tensor:
    """Draw counts of the given rates, as the quantiles of uniform numbers.

    One uniform number for each rate, whatever its value: chains share their noise. The quantile is
    searched around its normal approximation (Fisher & Cornish, 1960).
    """
    rate, dtype = wide(rate), rate.dtype
    u = uniforms(rate.shape, rate, generator).clamp(min=_LEAST_UNIFORM)
    normal = torch.special.ndtri(u)
    # k ≈ λ + √λ z + (z² − 1)/6
    middle = (rate + rate.sqrt() * normal + (normal.square() - 1) / 6).floor()
    low, high = middle - _REACH - 1, middle + _REACH - 1
    for _ in range(_HALVINGS):
        count = ((low + high) / 2).floor()
        # P(x ≤ k) = Q(k + 1, λ)
        below = torch.special.gammaincc(count.clamp(min=0) + 1, rate) < u
        below = below | (count < 0)
        low, high = torch.where(below, count, low), torch.where(below, high, count)
    return high.clamp(min=0).to(dtype)


def draw_gamma(shape: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from Gamma(shape, 1), shaped like another tensor.

    Marsaglia & Tsang, *A simple method for generating gamma variables* (2000), with twelve
    proposals for each value at once; all are refused with a probability below 1e-15.
    """
    sizes = (_PROPOSALS, *like.shape)
    normal, u = normals(sizes, like, generator), uniforms(sizes, like, generator)
    # Γ(a) = Γ(a + 1) u^(1/a) for a < 1
    d = torch.where(shape < 1, shape + 1, shape) - 1 / 3
    v = (1 + normal / (9 * d).sqrt()).clamp(min=1e-10) ** 3
    accepted = torch.log1p(-u) < 0.5 * normal.square() + d * (1 - v + v.log())
    first = accepted.to(like.dtype).argmax(0, keepdim=True)
    chosen = d * v.take_along_dim(first, 0)[0]
    boost = torch.log1p(-uniforms(like.shape, like, generator)) / shape
    return torch.where(shape < 1, chosen * boost.exp(), chosen)
