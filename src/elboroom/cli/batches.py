"""Inference of many rows in batches, with a progress bar."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from elboroom.cli.selection import Selection
from elboroom.cli.terminal import counting
from elboroom.device import keep_freed_memory, resolve_device
from elboroom.model.vae import VAE
from elboroom.randomness import stream

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """Rows that are inferred together, on the device of the model.

    Attributes:
        x: (B, *event).
        mask: (B, *event), True where a pixel is observed.
        generator: random stream of this batch.
        on_step: advances the progress bar; called with the number of a step and their total.
    """

    x: Tensor
    mask: Tensor
    generator: torch.Generator
    on_step: Callable[[int, int], None]


def run_in_batches(
    infer_batch: Callable[[VAE, Batch], T],
    model: VAE,
    selection: Selection,
    *,
    rows_at_a_time: int,
    seed: int,
    purpose: str,
    quiet: bool,
) -> list[T]:
    """Call `infer_batch` on every batch of the selection, and return the results in order.

    Args:
        infer_batch: function of the model and a batch.
        model: moved to the device.
        selection: the rows.
        rows_at_a_time: the size of a batch.
        seed: seed of the random streams.
        purpose: name of the random streams; each batch has one.
        quiet: show no progress bar.
    """
    keep_freed_memory()
    device = resolve_device("auto")
    model, results = model.to(device), []
    with counting(len(selection), selection.chosen.rows.nouns, quiet=quiet) as advance:
        for number, (x, mask) in enumerate(selection.batches(rows_at_a_time)):
            noise = stream(seed, purpose, number, device=device)
            on_step = partial(_advance_by_step, advance, len(x))
            results.append(infer_batch(model, Batch(x.to(device), mask.to(device), noise, on_step)))
    return results


def _advance_by_step(advance: Callable[[float], None], rows: int, _: int, steps: int) -> None:
    """Advance the bar by one of `steps` equal steps of a batch."""
    advance(rows / steps)
