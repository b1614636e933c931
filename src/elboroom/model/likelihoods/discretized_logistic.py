"""The 256 grey levels of a byte, as probabilities."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.model.likelihoods.likelihood import seen, total
from elboroom.randomness import uniforms

_STEPS = 255  # between black, 0, and white, 1
_HALF = 0.5 / _STEPS
_ROUNDING = 1e-5
_LEAST = 1e-6


@dataclass(frozen=True)
class DiscretizedLogistic:
    """A logistic of location μ (..., *event) and one scale s, (), rounded to the levels k/255.

    Kingma et al., *Improved variational inference with inverse autoregressive flow* (2016),
    section 5.2; black and white take the tails, as in Salimans et al., *PixelCNN++* (2017),
    equation 2.
    """

    location: Tensor
    scale: Tensor

    takes = "one of the levels 0, 1/255, …, 1"
    in_bits = True

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Where values can be taken."""
        off = (x * _STEPS - (x * _STEPS).round()).abs()
        return (x >= 0) & (x <= 1) & (off < _STEPS * _ROUNDING)

    @staticmethod
    def parameter_of(mean: Tensor) -> Tensor:
        """The mean image itself."""
        return mean

    @property
    def mean(self) -> Tensor:
        """E[x], (..., *event)."""
        found = torch.zeros_like(self.location)
        for level in range(1, _STEPS + 1):
            # E[x] = 1/255 Σ_k P(x ≥ k/255)
            found += torch.sigmoid((self.location - level / _STEPS + _HALF) / self.scale)
        return found / _STEPS

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draws among the levels, (..., *event)."""
        u = uniforms(self.location.shape, self.location, generator).clamp(_LEAST, 1 - _LEAST)
        # y = μ + s logit u, rounded
        y = self.location + self.scale * torch.logit(u)
        return (y * _STEPS).round().clamp(0, _STEPS) / _STEPS

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x_seen | z) in nats: location (..., B, *event), x (B, *event) → (..., B)."""
        upper, lower = self._edges(seen(x, mask))
        # σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)), and log σ(a) = −log(1 + exp −a)
        width = torch.log(-torch.expm1(-2 * _HALF / self.scale))
        inside = upper.isfinite() & lower.isfinite()
        pixels = -F.softplus(-upper) - F.softplus(lower) + torch.where(inside, width, 0.0)
        return total(pixels, x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Every event (B, *event) under every parameter (G, *event), event by event, (G, B)."""
        masks = [None] * len(x) if mask is None else mask.split(1)
        wide = DiscretizedLogistic(self.location[:, None], self.scale)
        rows = [wide.log_prob(row, m) for row, m in zip(x.split(1), masks, strict=True)]
        return torch.cat(rows, -1)

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """∂ log p(x_seen | z) by the location, (..., B, *event)."""
        upper, lower = self._edges(seen(x, mask))
        # [ σ(b) − σ(−a) ] / s, a tail having no edge beyond
        return seen((lower.sigmoid() - (-upper).sigmoid()) / self.scale, mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Fisher information of the seen pixels on the location, (..., B, *event)."""
        found = torch.zeros_like(self.location)
        for level in range(_STEPS + 1):
            x = torch.full_like(self.location, level / _STEPS)
            upper, lower = self._edges(x)
            # Σ_k P(k) (∂ log P(k)/∂μ)²
            found += (upper.sigmoid() - lower.sigmoid()) * self.score(x).square()
        return seen(found, mask)

    def _edges(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x ± ½ step − μ) / s, infinite beyond white and black."""
        upper, lower = ((x + side - self.location) / self.scale for side in (_HALF, -_HALF))
        black, white = x < _HALF, x > 1 - _HALF
        return upper.masked_fill(white, torch.inf), lower.masked_fill(black, -torch.inf)
