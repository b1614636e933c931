"""Binary pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.model.likelihoods.exponential import ExponentialFamily
from elboroom.randomness import uniforms

_LEAST_PROBABILITY = 1e-3  # the smallest initial probability of a 1, and of a 0


class Bernoulli(ExponentialFamily):
    """A product of Bernoullis, one for each pixel, with logits (..., *event).

    Example:
        >>> from elboroom import Bernoulli
        >>> pixels = Bernoulli(torch.zeros(1, 2, 2))  # logits 0: a pixel is 1 with probability ½
        >>> pixels.mean.flatten()
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
        >>> pixels.log_prob(torch.ones(1, 2, 2))  # 4 log ½, in nats
        tensor([-2.7726])
    """

    takes = "0 or 1"

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Return True where the likelihood accepts a value of x."""
        return (x == 0) | (x == 1)

    @classmethod
    def parameter_of(cls, mean: Tensor, std: Tensor) -> Tensor:
        """Compute the logits of a mean image, kept away from 0 and 1."""
        # l = logit E[x]
        return torch.logit(mean.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))

    @property
    def mean(self) -> Tensor:
        """The probability of a 1, (..., *event)."""
        return torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        """σ(l) (1 − σ(l)), (..., *event)."""
        return self.mean * (1 - self.mean)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw binary pixels as floats, (..., *event)."""
        return (uniforms(self.logits.shape, self.logits, generator) < self.mean).to(
            self.logits.dtype
        )

    def log_partition(self) -> Tensor:
        """Compute A(l) = log(1 + exp l), (..., *event)."""
        return F.softplus(self.logits)
