"""What every likelihood knows: the density of pixels that are independent given z."""

from typing import Protocol

import torch
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


def total(pixels: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """The sum over the seen pixels of each event: (..., B, *event) → (..., B)."""
    return seen(pixels, mask).flatten(-(x.ndim - 1)).sum(-1)


def seen(values: Tensor, mask: Tensor | None) -> Tensor:
    """0 where unseen: what stands there, NaN too, must not reach a sum or a gradient."""
    return values if mask is None else values.masked_fill(~mask, 0.0)
