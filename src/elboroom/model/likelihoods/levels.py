"""A logistic that is rounded to the 256 levels k/255 of a byte, in location μ and scale s.

Kingma et al., *Improved variational inference with inverse autoregressive flow* (2016), section
5.2; black and white take the tails, as in Salimans et al., *PixelCNN++* (2017), equation 2.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.randomness import uniforms

STEPS = 255
"""Steps between black, 0, and white, 1."""
HALF_STEP = 0.5 / STEPS
LOGISTIC_STD = math.pi / math.sqrt(3)
"""The standard deviation of a logistic of scale 1."""
TAKES = "one of the levels 0, 1/255, …, 1"
_ROUNDING = 1e-5  # how far a value may lie from its level
_LEAST_UNIFORM = 1e-6  # keeps the logit of a uniform draw finite
_FAR = 1e30  # an end of the interval that no μ comes near
_BLOCK = 1 << 14  # values that a processor computes together, in its cache


def are_levels(x: Tensor) -> Tensor:
    """Return True where a value is a level."""
    off = (x * STEPS - (x * STEPS).round()).abs()
    return (x >= 0) & (x <= 1) & (off < STEPS * _ROUNDING)


class Mass(NamedTuple):
    """The log-probability of levels in nats, and its derivatives by μ and by log s."""

    log: Tensor
    by_location: Tensor
    by_log_scale: Tensor


def log_mass(x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None) -> Tensor:
    """Compute the log-probability of each level in nats, and 0 where it is not seen.

    All arguments broadcast. No unseen value may be NaN. Gradients are those of first order.
    """
    return _LogMass.apply(x, location, scale, mask)[0]


def mass(x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None) -> Mass:
    """Compute the same and its derivatives, without a graph."""
    arguments = (x, location, scale) if mask is None else (x, location, scale, mask)
    shape = torch.broadcast_shapes(*(argument.shape for argument in arguments))
    found = Mass(*(location.new_empty(shape) for _ in range(3)))
    for block in _blocks(shape, location.device):
        parts = _mass(*(_part(argument, block) for argument in arguments))
        for whole, part in zip(found, parts, strict=True):
            whole[block] = part
    return found


def mean_level(location: Tensor, scale: Tensor) -> Tensor:
    """Compute E[x] with an error below 1e-8, rounding apart.

    E[255 x] = Σ_k σ((m − k)/r) over k = 1 … 255, with m = 255 μ + ½ and r = 255 s: the tails
    P(x ≥ k/255). Where r is below 1, the levels near m are summed; elsewhere the sum is an integral
    with corrections at its ends.
    """
    found = torch.empty_like(location + scale)
    for block in _blocks(found.shape, location.device):
        shape = found[block].shape
        m = (_part(location, block) * STEPS + 0.5).expand(shape)
        r = (_part(scale, block) * STEPS).expand(shape)
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


def information(location: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the Fisher information on μ and that on log s."""
    on_location, on_log_scale = (torch.zeros_like(location + scale) for _ in range(2))
    levels = torch.arange(STEPS + 1, dtype=location.dtype, device=location.device) / STEPS
    wide = levels.view(-1, *(1 for _ in on_location.shape))
    for block in _blocks((len(levels), *on_location.shape), location.device):
        arguments = wide[block[:1]], location[block[1:]], scale.expand_as(location)[block[1:]]
        found = _mass(*arguments)
        # Σ_k P(k) (∂ log P(k))²
        p = found.log.exp()
        on_location[block[1:]] += (p * found.by_location.square()).sum(0)
        on_log_scale[block[1:]] += (p * found.by_log_scale.square()).sum(0)
    return on_location, on_log_scale


def draw(location: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one level for each location."""
    u = uniforms(location.shape, location, generator).clamp(_LEAST_UNIFORM, 1 - _LEAST_UNIFORM)
    # y = μ + s logit u, rounded
    y = location + scale * torch.logit(u)
    return (y * STEPS).round().clamp(0, STEPS) / STEPS


class _LogMass(torch.autograd.Function):
    """`log_mass`, whose derivatives are computed with it: a graph would take four times as long."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = mass(x, location, scale, mask)
        return found.log, found.by_location, found.by_log_scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        _, location, scale, _ = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output[1:], scale)
        ctx.shape = location.shape

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # PyTorch's own `once_differentiable` lets `autograd.grad` pass, with a wrong result.
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise UsageError(
                "the logistic of levels has no second derivative",
                why="a gradient was asked for with create_graph=True",
                fix="leave create_graph at False, or use `score` and `information`",
            )
        gradient = grad_outputs[0]
        by_location, by_log_scale, scale = ctx.saved_tensors
        on_location = (gradient * by_location).sum_to_size(ctx.shape)
        on_scale = (gradient * by_log_scale / scale).sum_to_size(scale.shape)
        return None, on_location, on_scale, None


def _mass(x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None = None) -> Mass:
    # The interval of y that is rounded to x is [b, a] in units of s around μ. White ends far above,
    # black far below, and an unseen value both.
    white, black = x > 1 - HALF_STEP, x < HALF_STEP
    if mask is not None:
        white, black = white | ~mask, black | ~mask
    upper = (x + HALF_STEP).masked_fill(white, _FAR)
    lower = (x - HALF_STEP).masked_fill(black, -_FAR)
    apart = torch.full_like(x, 2 * HALF_STEP).masked_fill(white | black, _FAR)
    rate = 1 / scale
    a, b = (upper - location) * rate, (lower - location) * rate
    # P = σ(a) − σ(b) = σ(a) σ(−b) (1 − exp −w),  w = a − b, with
    # log σ(a) = min(a, 0) − log(1 + exp −|a|)
    share = torch.expm1(-apart * rate).neg_()
    over = a.abs().neg_().exp_().add_(1).mul_(b.abs().neg_().exp_().add_(1))
    log = (share / over).log_().add_(a.clamp(max=0)).sub_(b.clamp(min=0))
    above, below = torch.sigmoid(-a), torch.sigmoid(b)
    # ∂ log(1 − exp −w)/∂ log s = w − w / (1 − exp −w), and 0 where an end is far
    width = (2 * HALF_STEP) * rate
    by_log_scale = (below * b).sub_(above * a).add_(width - width / share)
    return Mass(log, below.sub_(above).mul_(rate), by_log_scale)


def _blocks(shape: Sequence[int], device: torch.device) -> Iterator[tuple[slice, ...]]:
    """Split leading axes so that a processor computes few values at a time; else, not at all."""
    inner = math.prod(shape[1:])
    if device.type != "cpu" or torch.compiler.is_compiling() or len(shape) < 2:
        yield (slice(None),) * len(shape)
    elif inner > _BLOCK:
        for i in range(shape[0]):
            yield from ((slice(i, i + 1), *rest) for rest in _blocks(shape[1:], device))
    else:
        rows = max(1, _BLOCK // max(1, inner))
        for i in range(0, shape[0], rows):
            yield (slice(i, i + rows), *(slice(None) for _ in shape[1:]))


def _part(tensor: Tensor, block: tuple[slice, ...]) -> Tensor:
    """Return the part of a tensor, broadcast to the whole, that belongs to a block."""
    own = block[len(block) - tensor.ndim :]
    return tensor[
        tuple(
            slice(None) if size == 1 else part for size, part in zip(tensor.shape, own, strict=True)
        )
    ]
