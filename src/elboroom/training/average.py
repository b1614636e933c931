"""A moving average of the weights of a model, which is evaluated in their place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_RISE = 9.0, 10.0  # the new weights count at least 9/(10 + t) after t steps


class Average:
    """An exponential moving average of weights and running statistics: Polyak & Juditsky (1992).

    Its memory grows with the steps, to about 1/(1 − decay) of them. Otherwise the initial weights
    would count for long.

    Args:
        model: the model whose weights are averaged, at its present ones.
        decay: d, the share of the average that a step keeps, in (0, 1).

    Attributes:
        decay: d.
        tensors: the average by name; the trained weights while the model holds the average.
        steps: (), the number of steps that are averaged.
        in_model: True while the model holds the average.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.in_model = decay, False
        self._weights = unshared_tensors(model)
        self.tensors = {name: value.detach().clone() for name, value in self._weights.items()}
        self.steps = torch.zeros((), device=next(model.parameters()).device)

    @torch.no_grad()
    def update(self, taken: Tensor | None = None) -> None:
        """Take in the weights after a step.

        Args:
            taken: (), 0 for a step that was skipped, else 1; None if none can be.
        """
        # w̄ ← w̄ + max(1 − d, 9 / (10 + t)) (w − w̄)
        weight = (_RISE[0] / (_RISE[1] + self.steps)).clamp(min=1 - self.decay)
        weight = weight if taken is None else weight * taken
        for mean, value in self._pairs():
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), weight.to(mean.dtype))
            else:
                mean.copy_(value)
        self.steps += 1 if taken is None else taken

    @torch.no_grad()
    def exchange(self) -> None:
        """Exchange the weights of the model for the average, or the average for the weights."""
        for mean, value in self._pairs():
            kept = value.clone()
            value.copy_(mean)  # in place, because a CUDA graph reads fixed addresses
            mean.copy_(kept)
        self.in_model = not self.in_model

    @torch.no_grad()
    def restart(self) -> None:
        """Begin again at the weights of the model."""
        for mean, value in self._pairs():
            mean.copy_(value)

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.tensors.values(), self._weights.values(), strict=True)


@contextmanager
def averaged(average: Average | None) -> Iterator[None]:
    """Let the model hold its average in this block, if there is one."""
    if average is None or average.in_model:
        yield
        return
    average.exchange()
    try:
        yield
    finally:
        average.exchange()


@contextmanager
def trained(average: Average | None) -> Iterator[None]:
    """Let the model hold its trained weights in this block, and its average after it."""
    if average is not None and average.in_model:
        average.exchange()
    try:
        yield
    finally:
        if average is not None:
            average.exchange()


def unshared_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers that a checkpoint holds; those that layers share, once."""
    first = dict[tuple[int, torch.Size], str]()
    found = model.state_dict(keep_vars=True)
    for name, value in found.items():
        first.setdefault((value.data_ptr(), value.shape), name)
    return {name: found[name] for name in first.values()}
