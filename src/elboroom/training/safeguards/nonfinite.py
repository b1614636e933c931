"""The first non-finite step, found by repeating the steps one by one, and its cause.

Draws are functions of the seed and the step number, so a repeated step computes the same.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from elboroom.device import World
from elboroom.training.objective import Bound
from elboroom.training.schedule import Schedule
from elboroom.training.state import TrainState
from elboroom.training.step import Step

_NAMED = 5  # rows at most in a message


@dataclass(frozen=True)
class Fault:
    """The first non-finite value of a run: where it arose, and in which images.

    Attributes:
        step: number of the step, counted from 0.
        epoch: its epoch, counted from 1.
        what: the term of the bound, the layer or the gradient that is not finite.
        rows: rows of the training part in the batch: those whose bound is not finite, or the whole
            batch if all bounds are finite; empty if the batch is unknown.
        batch: number of images in the batch.
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
    """Repeat the steps from `state` to `end` until one is not finite; return None if all are.

    Args:
        step: an uncompiled step. It changes the model and the moments, but not `state.step`.
        schedule: what each step is taken with.
        state: the last good state.
        end: number of the step at which a check failed.
    """
    for number in range(state.step, end):
        rows, rate, warmup, augments = schedule.step(number)
        step.restart(number)
        with _watch_layers(step.model) as layers:
            found, _ = step.gradients(rows, warmup, augments)
        is_skipped = step.skipping is not None and bool(step.skipping.skipped)
        own = rows[step.world.part_of(len(rows))][_bad_rows(found).to(rows.device)]
        what, bad = _told(_nonfinite_term(found, layers), own, step.world)
        if not what:
            what, bad = _told(_nonfinite_gradient(step.model, layers), rows, step.world)
        if what and not is_skipped:
            return Fault(number, schedule.epoch_of(number), what, bad, len(rows))
        step.descend(state.learning_rate_scale * rate)
    return None


def _told(what: str, rows: Tensor, world: World) -> tuple[str, tuple[int, ...]]:
    """Return what the lowest process that found anything found, and in which rows."""
    told = world.first_text(json.dumps([what, rows.tolist()]) if what else "")
    what, bad = json.loads(told or '["", []]')
    return what, tuple(bad)


@dataclass
class _FirstNonfinite:
    """The first layer with a non-finite output, and the first that receives such a gradient."""

    output: str = ""
    gradient: str = ""


@contextmanager
def _watch_layers(model: nn.Module) -> Iterator[_FirstNonfinite]:
    """Record the first non-finite output and gradient of the layers of `model` in this block."""
    found = _FirstNonfinite()
    hooks = [
        module.register_forward_hook(
            partial(_watch_output, found, f"{name} ({type(module).__name__})")
        )
        for name, module in model.named_modules()
        if name
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _watch_output(
    found: _FirstNonfinite, layer: str, module: nn.Module, arguments: Any, output: Any
) -> None:
    for tensor in output if isinstance(output, tuple) else (output,):
        if isinstance(tensor, Tensor):
            found.output = found.output or layer * (not _is_finite(tensor))
            if tensor.requires_grad:
                tensor.register_hook(partial(_watch_gradient, found, layer))


def _watch_gradient(found: _FirstNonfinite, layer: str, gradient: Tensor) -> None:
    found.gradient = found.gradient or layer * (not _is_finite(gradient))


def _nonfinite_term(found: Bound, layers: _FirstNonfinite) -> str:
    """Describe the term of the bound that is not finite, and its cause; empty if all are finite."""
    terms = {"reconstruction term": found.reconstruction, "KL": found.kl, "bound": found.value}
    sums = {name: term.sum().item() for name, term in terms.items()}
    wrong = [f"the {name} is {value:g}" for name, value in sums.items() if not math.isfinite(value)]
    if not wrong:
        return ""
    terms_found = " and ".join(wrong[:-1] or wrong)  # a wrong term makes the bound wrong too
    if not layers.output:
        return f"{terms_found}, though the output of every layer is finite"
    return f"{terms_found}; {layers.output} is the first layer whose output is not finite"


def _nonfinite_gradient(model: nn.Module, layers: _FirstNonfinite) -> str:
    """Describe the gradient that is not finite or whose square is not; empty if there is none.

    Adam squares gradients, and clipping does so too.
    """
    gradients = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    wrong = [name for name, gradient in gradients if not _is_finite(gradient.square())]
    if not wrong:
        return ""
    if not layers.gradient:
        return f"the gradient of {wrong[0]} is not finite or too large, though the bound is finite"
    return f"the gradient that reaches {layers.gradient} is not finite, though the bound is"


def _bad_rows(found: Bound) -> Tensor:
    """Return the images whose bound is not finite: (B,), bool."""
    return ~torch.stack([found.value, found.reconstruction, found.kl]).isfinite().all(0)


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())
