"""Real values with Gaussian noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods.likelihood import Likelihood, seen, total
from elboroom.model.likelihoods.wide import wide
from elboroom.model.normal import LOG_2PI
from elboroom.randomness import normals


@dataclass(frozen=True)
class GaussianPixels(Likelihood):
    """N(μ, σ²) for each value: `location` is μ (..., *event), `scale` is σ, broadcast to it.

    It is a density, so its log may be positive.
    """

    location: Tensor
    scale: Tensor

    takes = "a finite number"
    is_density = True
    has_scale = True
    bounded = False

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Return True where the likelihood accepts a value of x."""
        return x.isfinite()

    @property
    def mean(self) -> Tensor:
        """E[x] = μ, (..., *event)."""
        return self.location

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., *event)."""
        eps = normals(self.location.shape, self.location, generator)
        # x = μ + σ ε
        return self.location + self.scale * eps

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B)."""
        eps = (seen(x, mask) - self.location) / self.scale
        # log p(x | z) = −Σ_i m_i [ ½ ε_i² + log σ + ½ log 2π ]
        return -total(0.5 * (eps.square() + LOG_2PI) + self.scale.log(), x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B)."""
        # The squares of a small σ do not cancel in float64.
        scale = wide(self.scale.expand(x.shape[1:]).flatten())
        mean, target = (
            wide(self.location.flatten(1)) / scale,
            wide(seen(x, mask).flatten(1)) / scale,
        )
        known = torch.ones_like(target) if mask is None else mask.flatten(1).to(target)
        # |m_b ∘ (x_b − μ_g) / σ|² = (μ_g / σ)² · m_b − 2 μ_g / σ · x_b / σ + (x_b / σ)²
        squares = mean.square() @ known.T - 2 * mean @ target.T + target.square().sum(-1)
        volume = known @ (scale.log() + 0.5 * LOG_2PI)
        return (-0.5 * squares - volume).to(self.location.dtype)

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the location, (..., B, *event)."""
        # m_i (x_i − μ_i) / σ²
        return seen((seen(x, mask) - self.location) / self.scale.square(), mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the Fisher information of seen pixels on the location, 1/σ², (..., B, *event)."""
        return seen(torch.ones_like(self.location) / self.scale.square(), mask)
