"""A whole step as one compiled function: draws go in, and weights and moments change in place.

Images on disk are read before, and go in, too.

Forward and backward pass, clipping, the optimiser and the average become one graph, whose
operations PyTorch's compiler merges. Small steps then no longer wait for the interpreter.
"""

from copy import copy
from dataclasses import replace

import torch
from torch import Tensor

from elboroom.device.compiler import Function
from elboroom.device.graph import as_one_graph
from elboroom.randomness import DrawnBefore
from elboroom.training.state import TrainState, mutable_tensors, restored
from elboroom.training.step import Step


class TracedStep:
    """A step that runs as one compiled function.

    Args:
        step: the step, whose model, moments and average are changed in place.
        state: the state of its training, which this leaves as it is.
        batch_size: size of the batches that run compiled; others run as `step` does.

    Raises:
        RuntimeError: if the step cannot be traced, compiled or run.
    """

    def __init__(self, step: Step, state: TrainState, batch_size: int) -> None:
        self.step, self.noise, self._batch_size = step, step.noise, batch_size
        self._draws = DrawnBefore(step.noise.device)
        self._reads = not isinstance(step.part.images, Tensor)  # a graph cannot read from disk
        rows = torch.arange(batch_size) % len(step.part)
        with restored(mutable_tensors(step.model, state).values()):
            self._run = self._traced(rows)

    def __call__(self, index: Tensor, rate: float, kl_warmup: float, augments: bool) -> Tensor:
        """Take a step as `Step` does; only rounding differs."""
        if len(index) != self._batch_size:
            return self.step(index, rate, kl_warmup, augments)
        with torch.no_grad():
            totals, *norm = self._run(*self._inputs(index, rate, kl_warmup))
        if self.step.skipping is not None:
            self.step.skipping.norm = norm[0]
        return totals

    def _inputs(self, index: Tensor, rate: float, kl_warmup: float) -> tuple[Tensor, ...]:
        images = self.step.part.images.index_select(0, index) if self._reads else index
        rates = torch.tensor((rate, kl_warmup)).unbind()
        return images, *rates, *self._draws.draw(self.noise)

    def _traced(self, rows: Tensor) -> Function:
        """Compile a step on some rows, as a function of its draws, the rates and the rows."""
        traced = copy(self.step)
        traced.noise, traced.optimiser = self._draws, self.step.optimiser.elementary()

        def take(images: Tensor, rate: Tensor, kl_warmup: Tensor, *draws: Tensor) -> list[Tensor]:
            self._draws.give(draws)
            index = images
            if self._reads:
                index, traced.part = torch.arange(len(images)), replace(traced.part, images=images)
            with torch.enable_grad():
                totals = traced(index, rate, kl_warmup)
            return [totals, *([] if traced.skipping is None else [traced.skipping.norm])]

        try:
            with torch.enable_grad():
                traced(rows, 0.0, 0.0)  # notes the draws
            return as_one_graph(take, self._inputs(rows, 0.0, 0.0))
        finally:
            self.step.optimiser.zero_grad()
