"""Columns of levels without an order."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns import levels as level
from elboroom.model.likelihoods.columns.family import ColumnFamily, ColumnStart
from elboroom.randomness import uniforms


@dataclass(frozen=True)
class CategoricalColumns(ColumnFamily):
    """P(x = c) = exp l_c / Σ_k exp l_k, with the logits l = start + the decoder's outputs."""

    takes = "the code of a level, a whole number from 0 to C − 1"
    is_density = False
    has_levels = True
    entries_are_levels = True

    @staticmethod
    def fits(x: Tensor, levels: Tensor) -> Tensor:
        """Return True where the family accepts a value of x (..., n)."""
        return (x >= 0) & (x < levels) & (x == x.round())

    @classmethod
    def encoded(
        cls, x: Tensor, location: Tensor, spread: Tensor, levels: tuple[int, ...]
    ) -> Tensor:
        """Return 1 for the level of a value and 0 for the others, (B, E)."""
        return level.one_hot(x, levels)

    @classmethod
    def measured(cls, x: Tensor, levels: tuple[int, ...]) -> Tensor:
        """Return the same, whose means are the shares of the levels; NaN where x is."""
        column = level.level_index(levels, x.device).column
        return level.one_hot(x, levels).masked_fill(x.isnan()[..., column], torch.nan)

    @classmethod
    def measured_size(cls, levels: tuple[int, ...]) -> int:
        """Count the levels of all columns."""
        return sum(levels)

    @classmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Begin with the shares of the levels."""
        zeros = found.mean.new_zeros(len(levels))
        logits = level.shares(found.mean, found.count, levels).log()
        return ColumnStart(zeros, zeros + 1, zeros + 1, zeros, zeros + 1, zeros, logits)

    @property
    def mean(self) -> Tensor:
        """The most probable level, (..., n)."""
        return self._log_probabilities.argmax(-1).to(self.output.dtype)

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
        return self._log_probabilities.exp()

    @property
    def shares(self) -> Tensor:
        """The probability of each level, (..., E)."""
        return level.flat(self.probabilities, self.levels)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        shape = *self.output.shape[:-1], len(self.levels)
        u = uniforms(shape, self.output, generator)
        return level_of(u, self.probabilities, self.levels)

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log P(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        return level.at_level(self._log_probabilities, x)

    def score(self, x: Tensor) -> Tensor:
        """Compute ∂ log P(x_i | z) by the logits, (..., B, E)."""
        # 1[x = c] − P(c)
        return level.one_hot(x, self.levels) - level.flat(self.probabilities, self.levels)

    def information(self) -> Tensor:
        """Compute the diagonal P(c) (1 − P(c)) of the Fisher information, (..., E)."""
        p = level.flat(self.probabilities, self.levels)
        return p * (1 - p)

    @cached_property
    def _log_probabilities(self) -> Tensor:
        return level.padded(self.output, self.levels, -torch.inf).log_softmax(-1)


def level_of(u: Tensor, probabilities: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Return the levels at which the cumulated probabilities (..., n, C) pass u (..., n)."""
    below = (probabilities.cumsum(-1) <= u[..., None]).sum(-1)
    # The last cumulated probability is 1 but for rounding.
    last = torch.tensor(levels, device=u.device) - 1
    return below.minimum(last).to(u.dtype)
