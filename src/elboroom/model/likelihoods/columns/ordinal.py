"""Columns of ordered levels."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns import levels as level
from elboroom.model.likelihoods.columns.categorical import CategoricalColumns, level_of
from elboroom.model.likelihoods.columns.family import ColumnFamily, ColumnStart, spread_of
from elboroom.model.likelihoods.columns.thresholds import LEAST_GAP
from elboroom.randomness import uniforms


@dataclass(frozen=True)
class OrdinalColumns(ColumnFamily):
    """P(x < c) = σ(θ_c − l), with learned thresholds θ_1 < … < θ_{C−1} of each column.

    l is the decoder's output. McCullagh, *Regression models for ordinal data* (1980), the
    proportional odds; as a decoder, Nazábal et al., *Handling incomplete heterogeneous data using
    VAEs* (2020), whose thresholds come from the decoder.
    """

    takes = CategoricalColumns.takes
    is_density = False
    has_levels = True
    has_thresholds = True

    @staticmethod
    def fits(x: Tensor, levels: Tensor) -> Tensor:
        """Return True where the family accepts a value of x (..., n)."""
        return CategoricalColumns.fits(x, levels)

    @classmethod
    def measured(cls, x: Tensor, levels: tuple[int, ...]) -> Tensor:
        """Return the code, then 1 at its level and 0 at the others; NaN where x is."""
        return torch.cat([x, CategoricalColumns.measured(x, levels)], -1)

    @classmethod
    def measured_size(cls, levels: tuple[int, ...]) -> int:
        """Count the columns, and their levels."""
        return len(levels) + sum(levels)

    @classmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Begin with the shares of the levels."""
        codes, ones = found.parts([len(levels), sum(levels)])
        zeros, spread = torch.zeros_like(codes.mean), spread_of(codes)
        shares = level.padded(level.shares(ones.mean, ones.count, levels), levels, 0.0)
        # θ_c = logit P(x < c), from below and from above, so that none is rounded to ±∞
        below = shares.cumsum(-1)[:, :-1]
        above = shares.flip(-1).cumsum(-1).flip(-1)[:, 1:]
        thresholds = below.log() - above.log()
        location = codes.location
        return ColumnStart(zeros, zeros + 1, zeros + 1, location, spread, zeros, zeros, thresholds)

    @property
    def mean(self) -> Tensor:
        """The most probable level, (..., n)."""
        return self.probabilities.argmax(-1).to(self.output.dtype)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """`probabilities` of the levels, (..., n, C), 0 for padding."""
        return {"probabilities": self.probabilities}

    @property
    def mean_of_draws(self) -> Tensor:
        """The most probable level of the mixture along the leading axis, (S, ..., n) → (..., n)."""
        return self.probabilities.mean(0).argmax(-1).to(self.output.dtype)

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of the levels, (..., n, C), 0 for padding."""
        low, high = self._margins[..., :-1], self._margins[..., 1:]
        # σ(b) − σ(a) = σ(b) σ(−a) (1 − exp(a − b))
        return torch.sigmoid(high) * torch.sigmoid(-low) * -torch.expm1(-_gap(low, high))

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        u = uniforms(self.output.shape, self.output, generator)
        return level_of(u, self.probabilities, self.levels)

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log P(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        low, high = self._around(x)
        a, b = low - self.output, high - self.output
        # log [σ(b) − σ(a)] = log σ(b) + log σ(−a) + log(1 − exp(a − b))
        return F.logsigmoid(b) + F.logsigmoid(-a) + torch.log(-torch.expm1(-_gap(low, high)))

    def score(self, x: Tensor) -> Tensor:
        """Compute ∂ log P(x_i | z) by l, (..., B, n)."""
        low, high = self._around(x)
        # σ(a) + σ(b) − 1
        return torch.sigmoid(low - self.output) - torch.sigmoid(self.output - high)

    def information(self) -> Tensor:
        """Compute the Fisher information of x on l, (..., n)."""
        low, high = self._margins[..., :-1], self._margins[..., 1:]
        score = torch.sigmoid(low) - torch.sigmoid(-high)
        # Σ_c P(c) (σ(a_c) + σ(b_c) − 1)²
        return (self.probabilities * score.square()).sum(-1)

    @cached_property
    def _margins(self) -> Tensor:
        """θ_c − l, (..., n, C + 1)."""
        assert self.units.thresholds is not None
        return self.units.thresholds - self.output[..., None]

    def _around(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the thresholds below and above each value, (B, n)."""
        thresholds = self.units.thresholds
        assert thresholds is not None
        width = thresholds.shape[-1]
        first = width * torch.arange(len(thresholds), device=x.device)
        code = x.long() + first
        low, high = (thresholds.flatten().index_select(0, c.flatten()) for c in (code, code + 1))
        return low.view(code.shape), high.view(code.shape)


def _gap(low: Tensor, high: Tensor) -> Tensor:
    """Return the distance of two thresholds, positive even where rounding has lost it."""
    return (high - low).clamp(min=0.1 * LEAST_GAP)
