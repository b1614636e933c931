"""The log-probability of levels, and its derivatives."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.model.likelihoods.levels.blocks import in_blocks
from elboroom.model.likelihoods.levels.values import HALF_STEP

_FAR = 1e30  # an end of the interval that no μ comes near


class Mass(NamedTuple):
    """The log-probability of levels in nats, and its derivatives by μ and by log s."""

    log: Tensor
    by_location: Tensor
    by_log_scale: Tensor


def log_mass(x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None) -> Tensor:
    """Compute the log-probability of each level in nats, and 0 where it is not seen.

    All arguments broadcast. No unseen value may be NaN. Gradients are those of first order.
    """
    if torch.is_grad_enabled():
        return _LogMass.apply(x, location, scale, mask)[0]
    arguments = _given(x, location, scale, mask)
    found = _empty(*arguments)
    for block, parts in in_blocks(*arguments):
        found[block] = Interval.of(*parts).log_mass()
    return found


def mass(x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None) -> Mass:
    """Compute the same and its derivatives, without a graph."""
    arguments = _given(x, location, scale, mask)
    found = Mass(*(_empty(*arguments) for _ in range(3)))
    for block, parts in in_blocks(*arguments):
        for whole, part in zip(found, Interval.of(*parts).mass(), strict=True):
            whole[block] = part
    return found


def _given(*arguments: Tensor | None) -> list[Tensor]:
    return [argument for argument in arguments if argument is not None]


def _empty(x: Tensor, location: Tensor, *others: Tensor) -> Tensor:
    shapes = (argument.shape for argument in (x, location, *others))
    return location.new_empty(torch.broadcast_shapes(*shapes))


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
        require_first_order()
        gradient = grad_outputs[0]
        by_location, by_log_scale, scale = ctx.saved_tensors
        on_location = (gradient * by_location).sum_to_size(ctx.shape)
        on_scale = (gradient * by_log_scale / scale).sum_to_size(scale.shape)
        return None, on_location, on_scale, None


def require_first_order() -> None:
    """Check that the gradient which is computed needs no graph of its own.

    PyTorch's own `once_differentiable` lets `autograd.grad` pass, with a wrong result.

    Raises:
        UsageError: if it needs one.
    """
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise UsageError(
            "the logistic of levels has no second derivative",
            why="a gradient was asked for with create_graph=True",
            fix="leave create_graph at False, or use `score` and `information`",
        )


class Interval(NamedTuple):
    """The interval [b, a] that is rounded to a level, in units of s around μ.

    Attributes:
        a: the upper end, far above for white and for what is not seen.
        b: the lower end, far below for black and for what is not seen.
        rate: 1/s.
        share: 1 − exp −w, of the width w = a − b.
    """

    a: Tensor
    b: Tensor
    rate: Tensor
    share: Tensor

    @classmethod
    def of(
        cls, x: Tensor, location: Tensor, scale: Tensor, mask: Tensor | None = None
    ) -> "Interval":
        """Return the interval of each level; all arguments broadcast."""
        white, black = x > 1 - HALF_STEP, x < HALF_STEP
        if mask is not None:
            white, black = white | ~mask, black | ~mask
        upper = (x + HALF_STEP).masked_fill(white, _FAR)
        lower = (x - HALF_STEP).masked_fill(black, -_FAR)
        apart = torch.full_like(x, 2 * HALF_STEP).masked_fill(white | black, _FAR)
        rate = 1 / scale
        share = torch.expm1(-apart * rate).neg_()
        return cls((upper - location) * rate, (lower - location) * rate, rate, share)

    def log_mass(self) -> Tensor:
        """Compute the log-probability of the interval in nats."""
        # P = σ(a) − σ(b) = σ(a) σ(−b) (1 − exp −w),  log σ(a) = min(a, 0) + log σ(|a|)
        # PyTorch's sigmoid takes the same time everywhere; its exp is slow where it underflows.
        near = self.a.abs().sigmoid_().mul_(self.b.abs().sigmoid_()).mul_(self.share)
        return near.log_().add_(self.a.clamp(max=0)).sub_(self.b.clamp(min=0))

    def mass(self) -> Mass:
        """Compute the same and its derivatives."""
        above, below = torch.sigmoid(-self.a), torch.sigmoid(self.b)
        # ∂ log(1 − exp −w)/∂ log s = w − w / (1 − exp −w), and 0 where an end is far
        width = (2 * HALF_STEP) * self.rate
        by_log_scale = (below * self.b).sub_(above * self.a).add_(width - width / self.share)
        return Mass(self.log_mass(), below.sub_(above).mul_(self.rate), by_log_scale)
