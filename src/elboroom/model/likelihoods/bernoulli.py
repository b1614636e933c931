"""Binary pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.model.likelihoods.exponential import ExponentialFamily
from elboroom.randomness import uniforms

_RARE = 1e-3  # at the least, the probability of a 1 and of a 0 that a pixel starts at


class Bernoulli(ExponentialFamily):
    """A product of Bernoullis, one a pixel, with the given logits (..., *event)."""

    takes = "0 or 1"

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Where values can be taken."""
        return (x == 0) | (x == 1)

    @staticmethod
    def parameter_of(mean: Tensor) -> Tensor:
        """The logits of a mean image."""
        # l = logit E[x]
        return torch.logit(mean.clamp(_RARE, 1 - _RARE))

    @property
    def mean(self) -> Tensor:
        """The probability of a 1, (..., *event)."""
        return torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        """σ(l) (1 − σ(l)), (..., *event)."""
        return self.mean * (1 - self.mean)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Binary draws, float, (..., *event)."""
        return (uniforms(self.logits.shape, self.logits, generator) < self.mean).to(
            self.logits.dtype
        )

    def log_partition(self) -> Tensor:
        """A(l) = log(1 + exp l), (..., *event)."""
        return F.softplus(self.logits)
