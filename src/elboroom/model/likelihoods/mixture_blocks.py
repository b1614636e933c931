"""The log-density of a mixture for each pixel, and its gradient, in blocks of pixels.

Some forty passes over the parameter of a batch would each go through memory; those over a block
stay in the cache.
"""

import math
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from elboroom.model.likelihoods.levels import require_first_order

_ENTRIES = 1 << 17  # of the parameter, in a block
Block = tuple[slice, slice]
"""Events, and lines of them: parts of the first axis of their pixels."""


class _Mixture(Protocol):
    def log_prob_at_once(self, x: Tensor, mask: Tensor | None) -> Tensor: ...
    def log_prob_and_score(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]: ...


class Kind(Protocol):
    """A class of mixtures, with the number of axes of x and of its pixels."""

    event_axes: int
    site_axes: int

    def __call__(self, parameter: Tensor) -> _Mixture:
        """Return the mixture of a parameter (..., entries, *sites)."""
        ...


def log_prob_in_blocks(parameter: Tensor, x: Tensor, mask: Tensor | None, kind: Kind) -> Tensor:
    """Compute log p(x_seen | z) in nats of x (B, *event), (..., B), without a graph."""
    events = _Events(parameter, x, mask, kind)
    values = parameter.new_zeros(len(events.parameter))
    for rows, lines in events.blocks:
        mixture, some, seen = events.part(rows, lines)
        values[rows] += mixture.log_prob_at_once(some, seen)
    return values.view(events.leading)


class LogProb(torch.autograd.Function):
    """The log-density in nats, with its gradient by the parameter: of first order alone."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        parameter: Tensor, x: Tensor, mask: Tensor | None, kind: Kind
    ) -> tuple[Tensor, Tensor]:
        """Compute log p(x_seen | z), (..., B), and the gradient of each, (..., B, *parameter)."""
        events = _Events(parameter, x, mask, kind)
        values = parameter.new_zeros(len(events.parameter))
        scores = torch.empty_like(events.parameter)
        for rows, lines in events.blocks:
            mixture, some, seen = events.part(rows, lines)
            value, score = mixture.log_prob_and_score(some, seen)
            values[rows] += value
            events.lines_of(scores[rows], lines).copy_(score)
        return values.view(events.leading), scores.view(*events.leading, *scores.shape[1:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        """Keep the gradients."""
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients."""
        require_first_order()
        gradient, (score,) = grad_outputs[0], ctx.saved_tensors
        wide = gradient.view(*gradient.shape, *(1 for _ in score.shape[gradient.ndim :]))
        return (wide * score).sum_to_size(ctx.shape), None, None, None


class _Events:
    """The events of a batch, under a parameter each.

    Attributes:
        leading: the axes before those of an event, to which parameter and x broadcast.
        parameter: (N, entries, *sites), for N events in all.
    """

    def __init__(self, parameter: Tensor, x: Tensor, mask: Tensor | None, kind: Kind) -> None:
        given = (x,) if mask is None else (x, mask)
        event = torch.broadcast_shapes(*(values.shape[-kind.event_axes :] for values in given))
        entries = parameter.shape[-1 - kind.site_axes :]
        before = [values.shape[: -kind.event_axes] for values in given]
        self._kind = kind
        self.leading = torch.broadcast_shapes(parameter.shape[: -len(entries)], *before)
        self.parameter = self._flat(parameter, entries)
        self._x, self._mask = self._flat(x, event), None
        if mask is not None:
            self._mask = self._flat(mask, event)

    def _flat(self, values: Tensor, event: tuple[int, ...]) -> Tensor:
        return values.expand(*self.leading, *event).reshape(math.prod(self.leading), *event)

    @property
    def blocks(self) -> Iterator[Block]:
        """The blocks of all events, one after another; a single one but on a processor."""
        if self.parameter.device.type != "cpu":
            yield slice(None), slice(None)
            return
        count, lines = len(self.parameter), self.parameter.shape[-self._kind.site_axes]
        of_event = max(1, math.prod(self.parameter.shape[1:]))
        together = max(1, _ENTRIES // of_event)
        tall = max(1, _ENTRIES * lines // of_event)
        for start in range(0, count, together):
            for first in range(0, lines, tall):
                yield slice(start, start + together), slice(first, first + tall)

    def part(self, rows: slice, lines: slice) -> tuple[_Mixture, Tensor, Tensor | None]:
        """Return the mixture of a block, and its values and mask."""
        mask = None if self._mask is None else self.lines_of(self._mask[rows], lines)
        mixture = self._kind(self.lines_of(self.parameter[rows], lines))
        return mixture, self.lines_of(self._x[rows], lines), mask

    def lines_of(self, values: Tensor, lines: slice) -> Tensor:
        """Return some lines of all pixels."""
        return values[(..., lines, *[slice(None)] * (self._kind.site_axes - 1))]
