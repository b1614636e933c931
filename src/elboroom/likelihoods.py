"""p(x | z): the densities that a decoder's output is the parameter of."""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Likelihood(Protocol):
    """A density of events x, built from the output of a decoder.

    Parameters broadcast over leading axes: (K, B, *event) against data (B, *event).
    """

    @property
    def mean(self) -> Tensor:
        """E[x | z], (..., *event)."""
        ...

    def sample(self, generator: torch.Generator) -> Tensor:
        """One draw of x for every parameter, (..., *event)."""
        ...

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x_seen | z) in nats, (..., B); `mask` is True where a pixel is seen."""
        ...

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x_seen | z) in nats of every event under every parameter, (G, B)."""
        ...

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """∂ log p(x_seen | z) by the parameter, (..., B, *event)."""
        ...

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Fisher information of the seen pixels on the parameter, (..., B, *event)."""
        ...


@dataclass(frozen=True)
class Bernoulli:
    """A product of Bernoullis, one a pixel, with the given logits (..., *event)."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """The probability of a 1, (..., *event)."""
        return torch.sigmoid(self.logits)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Binary draws, float, (..., *event)."""
        uniforms = torch.rand(self.logits.shape, generator=generator, device=self.logits.device)
        return (uniforms < self.mean).to(self.logits.dtype)

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Log-probability of the seen pixels in nats: logits (..., B, *event), x (B, *event)."""
        target = _seen(x, mask).expand(self.logits.shape)
        # −log p(x | z) = Σ_i m_i [ log(1 + exp l_i) − x_i l_i ]
        pixels = F.binary_cross_entropy_with_logits(self.logits, target, reduction="none")
        return -_unseen_as_zero(pixels, mask).flatten(-(x.ndim - 1)).sum(-1)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Every event (B, *event) under every parameter (G, *event) by matrix products, (G, B)."""
        logits, target = self.logits.flatten(1), _seen(x, mask).flatten(1)
        log_sum = F.softplus(logits)
        # log p(x_b | z_g) = l_g · (m_b ∘ x_b) − softplus(l_g) · m_b
        seen = log_sum.sum(-1, keepdim=True) if mask is None else log_sum @ mask.flatten(1).to(x).T
        return logits @ target.T - seen

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """∂ log p(x_seen | z) by the logits, (..., B, *event)."""
        # m_i (x_i − σ(l_i))
        return _unseen_as_zero(_seen(x, mask) - self.mean, mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Fisher information of the seen pixels on the logits, −∂² log p, (..., B, *event)."""
        # m_i σ(l_i) (1 − σ(l_i)): for logits it does not depend on x
        return _unseen_as_zero(self.mean * (1 - self.mean), mask)


def _seen(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with 0 where it is unseen: what stands there, NaN too, must not reach a gradient."""
    return _unseen_as_zero(x, mask)


def _unseen_as_zero(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values.masked_fill(~mask, 0.0)
