"""A whole step as one compiled function: draws go in, and weights and moments change in place.

Images on disk are read before, and go in, too.

Forward and backward pass, clipping, the optimiser and the average become one graph, whose
operations PyTorch's compiler merges. Small steps then no longer wait for the interpreter.
"""

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, cast

import torch
import torch._inductor
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from elboroom.randomness import DrawnBefore
from elboroom.training.speed.compilation import compiler_options
from elboroom.training.speed.products import is_onednn_faster, use_onednn
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
        # PyTorch warns of parts of its own when its compiler is loaded.
        quiet = warnings.catch_warnings(action="ignore", category=DeprecationWarning)
        changed = mutable_tensors(step.model, state).values()
        with quiet, restored(changed), torch.no_grad():
            graph = self._traced(rows)
            _require_no_draws(graph)
            if is_onednn_faster():
                use_onednn(graph)
            self._tensors = _lift_tensors(graph)
            inputs = *self._tensors, *self._inputs(rows, 0.0, 0.0)
            self._run = compiled(graph, list(inputs))
            self._run(*inputs)  # the compiler may have made a mistake that only this finds

    def __call__(self, index: Tensor, rate: float, kl_warmup: float, augments: bool) -> Tensor:
        """Take a step as `Step` does; only rounding differs."""
        if len(index) != self._batch_size:
            return self.step(index, rate, kl_warmup, augments)
        with torch.no_grad():
            totals, *norm = self._run(*self._tensors, *self._inputs(index, rate, kl_warmup))
        if self.step.skipping is not None:
            self.step.skipping.norm = norm[0]
        return totals

    def _inputs(self, index: Tensor, rate: float, kl_warmup: float) -> tuple[Tensor, ...]:
        images = self.step.part.images.index_select(0, index) if self._reads else index
        rates = torch.tensor((rate, kl_warmup)).unbind()
        return images, *rates, *self._draws.draw(self.noise)

    def _traced(self, rows: Tensor) -> GraphModule:
        """Trace a step on some rows, as a function of its draws, the rates and the rows."""
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
            return make_fx(take)(*self._inputs(rows, 0.0, 0.0))
        finally:
            self.step.optimiser.zero_grad()


def compiled(graph: GraphModule, inputs: list[Any]) -> Callable[..., list[Tensor]]:
    """Compile a graph for inputs like these."""
    found = torch._inductor.compile(graph, inputs, options=compiler_options())
    return cast(Callable[..., list[Tensor]], found)


def _require_no_draws(graph: GraphModule) -> None:
    """Check that a graph draws nothing by itself: it would draw the same in each step.

    Raises:
        RuntimeError: if it does.
    """
    for node in graph.graph.nodes:
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise RuntimeError(f"{node.target} draws random values that are not made beforehand")


def _lift_tensors(graph: GraphModule) -> list[Tensor]:
    """Make the tensors that a graph holds its first inputs, and return them, each once.

    The graph holds them no longer. Otherwise the compiler would see two tensors with one storage,
    and would change a copy that it writes back after each step.
    """
    first = next(iter(graph.graph.nodes))
    lifted = dict[int, tuple[Tensor, Node]]()
    for node in list(graph.graph.find_nodes(op="get_attr")):
        tensor = getattr(graph, node.target)
        if id(tensor) not in lifted:
            with graph.graph.inserting_before(first):
                lifted[id(tensor)] = tensor, graph.graph.placeholder(f"held_{len(lifted)}")
        node.replace_all_uses_with(lifted[id(tensor)][1])
        graph.graph.erase_node(node)
    for name in list(graph.state_dict()):
        delattr(graph, name)
    graph.recompile()
    return [tensor.detach() for tensor, _ in lifted.values()]
