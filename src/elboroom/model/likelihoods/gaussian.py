"""Real values with Gaussian noise."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods.likelihood import seen, total
from elboroom.randomness import normals

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class GaussianPixels:
    """N(mean, σ²) for each pixel: a mean (..., *event) and one σ, (), for all of them.

    A density: its log may be positive.
    """

    mean: Tensor
    scale: Tensor

    takes = "a finite number"
    is_density = True

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Where values can be taken."""
        return x.isfinite()

    @staticmethod
    def parameter_of(mean: Tensor) -> Tensor:
        """The mean image itself."""
        return mean

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draws, (..., *event)."""
        eps = normals(self.mean.shape, self.mean, generator)
        # x = μ + σ ε
        return self.mean + self.scale * eps

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x_seen | z) in nats: mean (..., B, *event), x (B, *event) → (..., B)."""
        eps = (seen(x, mask) - self.mean) / self.scale
        # log p(x | z) = −Σ_i m_i [ ½ ε_i² + log σ + ½ log 2π ]
        return -total(0.5 * (eps.square() + _LOG_2PI) + self.scale.log(), x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Every event (B, *event) under every parameter (G, *event) by matrix products, (G, B)."""
        mean, target = self.mean.flatten(1), seen(x, mask).flatten(1)
        known = torch.ones_like(target) if mask is None else mask.flatten(1).to(target)
        # |m_b ∘ (x_b − μ_g)|² = μ_g² · m_b − 2 μ_g · x_b + x_b²
        squares = mean.square() @ known.T - 2 * mean @ target.T + target.square().sum(-1)
        volume = known.sum(-1) * (self.scale.log() + 0.5 * _LOG_2PI)
        return -0.5 * squares / self.scale.square() - volume

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """∂ log p(x_seen | z) by the mean, (..., B, *event)."""
        # m_i (x_i − μ_i) / σ²
        return seen((seen(x, mask) - self.mean) / self.scale.square(), mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Fisher information of the seen pixels on the mean, 1/σ², (..., B, *event)."""
        return seen(torch.ones_like(self.mean) / self.scale.square(), mask)
