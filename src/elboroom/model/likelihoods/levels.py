"""A logistic that is rounded to the 256 levels k/255 of a byte, in location μ and scale s.

Kingma et al., *Improved variational inference with inverse autoregressive flow* (2016), section
5.2; black and white take the tails, as in Salimans et al., *PixelCNN++* (2017), equation 2.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.randomness import uniforms

STEPS = 255
"""Steps between black, 0, and white, 1."""
HALF_STEP = 0.5 / STEPS
LOGISTIC_STD = math.pi / math.sqrt(3)
"""The standard deviation of a logistic of scale 1."""
TAKES = "one of the levels 0, 1/255, …, 1"
_ROUNDING = 1e-5  # how far a value may lie from its level
_TOGETHER = 1 << 16  # values that fit into the cache
_LEAST_UNIFORM = 1e-6  # keeps the logit of a uniform draw finite


def are_levels(x: Tensor) -> Tensor:
    """Return True where a value is a level."""
    off = (x * STEPS - (x * STEPS).round()).abs()
    return (x >= 0) & (x <= 1) & (off < STEPS * _ROUNDING)


class Edges(NamedTuple):
    """The interval of y that is rounded to x, in units of s around μ.

    Attributes:
        upper: (x + ½ step − μ) / s.
        lower: (x − ½ step − μ) / s.
        has_upper: 1 where the interval ends above, 0 for white.
        has_lower: 1 where it ends below, 0 for black.
    """

    upper: Tensor
    lower: Tensor
    has_upper: Tensor
    has_lower: Tensor

    @classmethod
    def of(cls, x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None) -> "Edges":
        """Return the edges of x, broadcast to the parameters; an unseen value has none."""
        upper, lower = ((x + side - location) / scale for side in (HALF_STEP, -HALF_STEP))
        ends = x < 1 - HALF_STEP, x > HALF_STEP
        has_upper, has_lower = (end if mask is None else end & mask for end in ends)
        return cls(upper, lower, has_upper.to(upper), has_lower.to(upper))


def log_mass(edges: Edges, scale: Tensor) -> Tensor:
    """Compute the log-probability of each level in nats, and 0 where it has no edges."""
    # σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)); an edge at infinity has the factor 1
    width = torch.log(-torch.expm1(-2 * HALF_STEP / scale))
    above, below = F.logsigmoid(edges.upper), F.logsigmoid(-edges.lower)
    both = edges.has_upper * edges.has_lower
    return edges.has_upper * above + edges.has_lower * below + both * width


def slopes(edges: Edges, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the derivatives of `log_mass` by μ and by log s."""
    above = edges.has_upper * (-edges.upper).sigmoid()
    below = edges.has_lower * edges.lower.sigmoid()
    # ∂ log(1 − exp −w)/∂ log s = −w / (exp w − 1),  w = a − b
    width = 2 * HALF_STEP / scale
    narrowing = edges.has_upper * edges.has_lower * width / torch.expm1(width)
    by_log_scale = below * edges.lower - above * edges.upper - narrowing
    return (below - above) / scale, by_log_scale


def mean_level(location: Tensor, scale: Tensor) -> Tensor:
    """Compute E[x]."""
    found = torch.zeros_like(location + scale)
    for x in _levels(found):
        # E[x] = 1/255 Σ_k P(x ≥ k/255); the first is 1 for all
        found += torch.sigmoid((location - x + HALF_STEP) / scale).sum(0)
    return (found - torch.sigmoid((location + HALF_STEP) / scale)) / STEPS


def information(location: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the Fisher information on μ and that on log s."""
    on_location, on_log_scale = (torch.zeros_like(location + scale) for _ in range(2))
    for x in _levels(on_location):
        edges = Edges.of(x, location, scale, None)
        by_location, by_log_scale = slopes(edges, scale)
        # Σ_k P(k) (∂ log P(k))²
        mass = log_mass(edges, scale).exp()
        on_location += (mass * by_location.square()).sum(0)
        on_log_scale += (mass * by_log_scale.square()).sum(0)
    return on_location, on_log_scale


def _levels(like: Tensor) -> Iterator[Tensor]:
    """Split the levels into parts that are computed together, each (L, 1, …)."""
    levels = torch.arange(STEPS + 1, dtype=like.dtype, device=like.device) / STEPS
    together = max(1, _TOGETHER // max(1, like.numel()))
    yield from levels.view(-1, *(1 for _ in like.shape)).split(together)


def draw(location: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one level for each location."""
    u = uniforms(location.shape, location, generator).clamp(_LEAST_UNIFORM, 1 - _LEAST_UNIFORM)
    # y = μ + s logit u, rounded
    y = location + scale * torch.logit(u)
    return (y * STEPS).round().clamp(0, STEPS) / STEPS
