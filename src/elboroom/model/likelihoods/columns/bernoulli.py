"""Columns of two levels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns.family import ColumnFamily, ColumnStart
from elboroom.randomness import uniforms


@dataclass(frozen=True)
class BernoulliColumns(ColumnFamily):
    """P(x = 1) = σ(l), with the log odds l = start + the decoder's output."""

    takes = "0 or 1"
    is_density = False
    has_levels = True

    @staticmethod
    def fits(x: Tensor, levels: Tensor) -> Tensor:
        """Return True where the family accepts a value of x (..., n)."""
        return (x == 0) | (x == 1)

    @classmethod
    def encoded(
        cls, x: Tensor, location: Tensor, spread: Tensor, levels: tuple[int, ...]
    ) -> Tensor:
        """Return −1 and 1, so that 0 is neither."""
        return 2 * x - 1

    @classmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Begin with the share of ones."""
        zeros = torch.zeros_like(found.mean)
        # Half a row more of each level keeps the share away from 0 and 1.
        share = (found.location * found.count + 0.5) / (found.count + 1)
        return ColumnStart(zeros, zeros + 1, zeros + 1, zeros, zeros + 1, zeros, share.logit())

    @property
    def mean(self) -> Tensor:
        """The more probable level, (..., n)."""
        return (self.output > 0).to(self.output.dtype)

    @property
    def mean_of_draws(self) -> Tensor:
        """The more probable level of the mixture along the leading axis, (S, ..., n) → (..., n)."""
        return (torch.sigmoid(self.output).mean(0) > 0.5).to(self.output.dtype)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """`logits`, (..., n)."""
        return {"logits": self.output}

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of 0 and 1, (..., n, 2)."""
        return torch.sigmoid(torch.stack([-self.output, self.output], -1))

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        u = uniforms(self.output.shape, self.output, generator)
        return (u < torch.sigmoid(self.output)).to(self.output.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log P(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        # log P(x) = x l − log(1 + exp l)
        return x * self.output - F.softplus(self.output)

    def score(self, x: Tensor) -> Tensor:
        """Compute ∂ log P(x_i | z) by l, (..., B, n)."""
        return x - torch.sigmoid(self.output)

    def information(self) -> Tensor:
        """Compute the Fisher information of x on l, (..., n)."""
        # σ(l) σ(−l)
        return torch.sigmoid(self.output) * torch.sigmoid(-self.output)
