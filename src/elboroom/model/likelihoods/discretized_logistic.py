"""The 256 grey levels of a byte, as probabilities."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.model.likelihoods.likelihood import Likelihood, seen, total
from elboroom.randomness import uniforms

_STEPS = 255  # between black, 0, and white, 1
_HALF_STEP = 0.5 / _STEPS
_ROUNDING = 1e-5  # how far a value may lie from its level
_LEAST_UNIFORM = 1e-6  # keeps the logit of a uniform draw finite


@dataclass(frozen=True)
class DiscretizedLogistic(Likelihood):
    """A logistic of location μ (..., *event) and scale s, rounded to the levels k/255.

    Kingma et al., *Improved variational inference with inverse autoregressive flow* (2016),
    section 5.2; black and white take the tails, as in Salimans et al., *PixelCNN++* (2017),
    equation 2.
    """

    location: Tensor
    scale: Tensor

    takes = "one of the levels 0, 1/255, …, 1"
    in_bits = True
    has_scale = True

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Return True where the likelihood accepts a value of x."""
        off = (x * _STEPS - (x * _STEPS).round()).abs()
        return (x >= 0) & (x <= 1) & (off < _STEPS * _ROUNDING)

    @staticmethod
    def scale_of(std: Tensor) -> Tensor:
        """Compute the scale s of a logistic, whose standard deviation is s π/√3."""
        return std * (math.sqrt(3) / math.pi)

    @property
    def mean(self) -> Tensor:
        """E[x], (..., *event)."""
        found = torch.zeros_like(self.location)
        for level in range(1, _STEPS + 1):
            # E[x] = 1/255 Σ_k P(x ≥ k/255)
            found += torch.sigmoid((self.location - level / _STEPS + _HALF_STEP) / self.scale)
        return found / _STEPS

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw levels, (..., *event)."""
        u = uniforms(self.location.shape, self.location, generator).clamp(
            _LEAST_UNIFORM, 1 - _LEAST_UNIFORM
        )
        # y = μ + s logit u, rounded
        y = self.location + self.scale * torch.logit(u)
        return (y * _STEPS).round().clamp(0, _STEPS) / _STEPS

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B)."""
        upper, lower = self._edges(seen(x, mask))
        # σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)), and log σ(a) = −log(1 + exp −a)
        width = torch.log(-torch.expm1(-2 * _HALF_STEP / self.scale))
        inside = upper.isfinite() & lower.isfinite()
        pixels = -F.softplus(-upper) - F.softplus(lower) + torch.where(inside, width, 0.0)
        return total(pixels, x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B).

        It takes one event at a time.
        """
        masks = [None] * len(x) if mask is None else mask.split(1)
        wide = DiscretizedLogistic(self.location[:, None], self.scale)
        rows = [wide.log_prob(row, m) for row, m in zip(x.split(1), masks, strict=True)]
        return torch.cat(rows, -1)

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the location, (..., B, *event)."""
        upper, lower = self._edges(seen(x, mask))
        # [ σ(b) − σ(−a) ] / s; in a tail one edge is infinite
        return seen((lower.sigmoid() - (-upper).sigmoid()) / self.scale, mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the Fisher information of seen pixels on the location, (..., B, *event)."""
        found, below = torch.zeros_like(self.location), torch.zeros_like(self.location)
        for level in range(_STEPS + 1):
            edge = level / _STEPS + _HALF_STEP if level < _STEPS else math.inf
            above = ((edge - self.location) / self.scale).sigmoid()
            # Σ_k P(k) (∂ log P(k)/∂μ)², P(k) = F(a) − F(b), ∂ log P(k)/∂μ = [1 − F(a) − F(b)] / s
            found += (above - below) * (above + below - 1).square()
            below = above
        return seen(found / self.scale**2, mask)

    def _edges(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute (x ± ½ step − μ) / s, infinite beyond white and black."""
        upper, lower = (
            (x + side - self.location) / self.scale for side in (_HALF_STEP, -_HALF_STEP)
        )
        black, white = x < _HALF_STEP, x > 1 - _HALF_STEP
        return upper.masked_fill(white, torch.inf), lower.masked_fill(black, -torch.inf)
