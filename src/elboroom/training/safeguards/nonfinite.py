"""The first step that goes wrong, found by taking the steps again one by one, and what is wrong.

Draws are functions of the seed and the step, so the same steps go the same way.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from elboroom.randomness import restart
from elboroom.training.objective import Bound
from elboroom.training.schedule import Schedule
from elboroom.training.state import TrainState
from elboroom.training.step import Step

_NAMED = 5  # rows


@dataclass(frozen=True)
class Fault:
    """Where a run went wrong.

    Attributes:
        step: the first that did, counted from 0.
        epoch: its epoch, counted from 1.
        what: the term of the bound, the layer or the gradient that is not finite.
        rows: of the training part, in the batch of the step: those whose own bound is not finite,
            or all of them where it is; none where they are not known.
        batch: how many images the batch has.
    """

    step: int
    epoch: int
    what: str
    rows: tuple[int, ...] = ()
    batch: int = 0

    def __str__(self) -> str:
        place = f"at step {self.step:,} of epoch {self.epoch}, {self.what}"
        if not self.rows:
            return place
        some = ", ".join(map(str, self.rows[:_NAMED])) + ", …" * (len(self.rows) > _NAMED)
        in_batch = f"{len(self.rows)} of {self.batch} in the batch"
        return f"{place} (rows {some} of the training part, {in_batch})"


def first_nonfinite_step(
    step: Step, schedule: Schedule, state: TrainState, end: int
) -> Fault | None:
    """Take the steps from `state` to `end` again, until one goes wrong; None if none does.

    Args:
        step: takes them as they stand. It changes the model and the moments, but not `state.step`.
        schedule: what they do.
        state: the last good one.
        end: the step before which something went wrong.
    """
    for number in range(state.step, end):
        index, rate, kl_warmup = schedule.step(number)
        restart(step.noise, schedule.config.seed, "step", number)
        with _watch_layers(step.model) as seen:
            found = step.gradients(index, kl_warmup)
        what = _term(found, seen) or _gradient(step.model, seen)
        if what:
            rows = tuple(index[_bad_rows(found).to(index.device)].tolist())
            return Fault(number, schedule.epoch_of(number), what, rows, len(index))
        step.descend(state.learning_rate_scale * rate)
    return None


@dataclass
class _FirstNonfinite:
    """The first layer whose output is not finite, and the first to get back such a gradient."""

    output: str = ""
    gradient: str = ""


@contextmanager
def _watch_layers(model: nn.Module) -> Iterator[_FirstNonfinite]:
    """Notes what goes wrong in the layers of `model` within the context."""
    seen = _FirstNonfinite()
    hooks = [
        module.register_forward_hook(partial(_after, seen, f"{name} ({type(module).__name__})"))
        for name, module in model.named_modules()
        if name
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _after(
    seen: _FirstNonfinite, layer: str, module: nn.Module, arguments: Any, output: Any
) -> None:
    for tensor in output if isinstance(output, tuple) else (output,):
        if isinstance(tensor, Tensor):
            seen.output = seen.output or layer * (not _is_finite(tensor))
            if tensor.requires_grad:
                tensor.register_hook(partial(_on_way_back, seen, layer))


def _on_way_back(seen: _FirstNonfinite, layer: str, gradient: Tensor) -> None:
    seen.gradient = seen.gradient or layer * (not _is_finite(gradient))


def _term(found: Bound, seen: _FirstNonfinite) -> str:
    """Which term of the bound is not finite, and where from; empty if all are."""
    terms = {"reconstruction term": found.reconstruction, "KL": found.kl, "bound": found.value}
    sums = {name: term.sum().item() for name, term in terms.items()}
    wrong = [f"the {name} is {value:g}" for name, value in sums.items() if not math.isfinite(value)]
    if not wrong:
        return ""
    said = " and ".join(wrong[:-1] or wrong)  # the bound goes without saying
    if not seen.output:
        return f"{said}, though the output of every layer is finite"
    return f"{said}; of the layers, {seen.output} is the first whose output is not finite"


def _gradient(model: nn.Module, seen: _FirstNonfinite) -> str:
    """Which gradient is not finite, or too large for Adam to square; empty if none is."""
    gradients = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    wrong = [name for name, gradient in gradients if not _is_finite(gradient.square())]
    if not wrong:
        return ""
    if not seen.gradient:
        return f"the gradient of {wrong[0]} is not finite or too large, though the bound is finite"
    return f"the gradient that reaches {seen.gradient} is not finite, though the bound is"


def _bad_rows(found: Bound) -> Tensor:
    """The images whose bound is not finite, or all of them if there are none, (B,), bool."""
    finite = torch.stack([found.value, found.reconstruction, found.kl]).isfinite().all(0)
    return finite if finite.all() else ~finite


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())
