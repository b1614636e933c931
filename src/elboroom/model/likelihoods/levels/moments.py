"""The mean level, and draws of levels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.model.likelihoods.levels.blocks import in_blocks
from elboroom.model.likelihoods.levels.values import STEPS
from elboroom.randomness import uniforms

LOGISTIC_STD = math.pi / math.sqrt(3)
"""The standard deviation of a logistic of scale 1."""
_LEAST_UNIFORM = 1e-6  # keeps the logit of a uniform draw finite


def draw(location: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one level for each location."""
    u = uniforms(location.shape, location, generator).clamp(_LEAST_UNIFORM, 1 - _LEAST_UNIFORM)
    # y = μ + s logit u, rounded
    y = location + scale * torch.logit(u)
    return (y * STEPS).round().clamp(0, STEPS) / STEPS


def mean_level(location: Tensor, scale: Tensor) -> Tensor:
    """Compute E[x] with an error below 1e-8, rounding apart.

    E[255 x] = Σ_k σ((m − k)/r) over k = 1 … 255, with m = 255 μ + ½ and r = 255 s: the tails
    P(x ≥ k/255). Where r is below 1, the levels near m are summed; elsewhere the sum is an integral
    with corrections at its ends.
    """
    found = torch.empty_like(location + scale)
    for block, (mu, s) in in_blocks(location, scale):
        m, r = torch.broadcast_tensors(mu * STEPS + 0.5, s * STEPS)
        total, narrow = _integrated_tails(m, r.clamp(min=1)), r < 1
        total[narrow] = _summed_tails(m[narrow], r[narrow])
        found[block] = total / STEPS
    return found


def _integrated_tails(m: Tensor, r: Tensor) -> Tensor:
    """Sum σ((m − k)/r) over k = 1 … 255 by the formula of Euler and Maclaurin, for r ≥ 1."""
    ends = (m - 0.5) / r, (m - 0.5 - STEPS) / r
    # ∫ σ((m − t)/r) dt from ½ to 255½
    upper, lower = (r * F.softplus(end) for end in ends)
    # + Σ_j B_2j(½)/(2j)! (f⁽²ʲ⁻¹⁾(255½) − f⁽²ʲ⁻¹⁾(½)),  f(t) = σ((m − t)/r)
    return upper - lower + _end_correction(ends[0], r) - _end_correction(ends[1], r)


def _end_correction(u: Tensor, r: Tensor) -> Tensor:
    """Compute Σ_j B_2j(½)/(2j)! σ⁽²ʲ⁻¹⁾(u)/r²ʲ⁻¹ for j = 1, 2, 3."""
    p = torch.sigmoid(u)
    d = p - p.square()
    rate = r.square().reciprocal()
    # σ′ = d, σ‴ = d (1 − 6 d) and σ⁽⁵⁾ = d (1 − 30 d + 120 d²)
    last = (d * (120 * d - 30) + 1) * (-31 / 967_680)
    series = ((1 - 6 * d) * (7 / 5760) + rate * last) * rate - 1 / 24
    return d / r * series


def _summed_tails(m: Tensor, r: Tensor) -> Tensor:
    """Sum σ((m − k)/r) over k = 1 … 255 for r < 1, beyond which σ is 0 or 1 soon."""
    reach = math.ceil(-math.log(torch.finfo(m.dtype).eps))
    middle = m.floor()
    total = (middle - reach).clamp(0, STEPS)
    for step in range(1 - reach, reach + 1):
        k = middle + step
        tail = torch.sigmoid((m - k) / r)
        total += tail.masked_fill((k < 1) | (k > STEPS), 0)
    return total
