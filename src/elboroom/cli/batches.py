"""Inference of many rows in batches, which several processes share, with a progress bar."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from elboroom.cli.terminal import counting
from elboroom.device import keep_freed_memory, resolve_device, world
from elboroom.model.vae import VAE
from elboroom.randomness import stream

Columns = Mapping[str, Tensor | str]
"""What is found of the rows of a batch, by name."""


class RowsInBatches(Protocol):
    """Rows that are read batch by batch."""

    @property
    def nouns(self) -> str:
        """The word for several rows."""
        ...

    def __len__(self) -> int: ...

    def batch(self, number: int, size: int) -> tuple[Tensor, Tensor]:
        """Return x and its mask of observed values, both (B, *event), of a batch of `size` rows."""
        ...


@dataclass(frozen=True)
class Batch:
    """Rows that are inferred together, on the device of the model.

    Attributes:
        x: (B, *event).
        mask: (B, *event), True where a pixel is observed.
        number: the number of this batch, from 0.
        generator: random stream of this batch.
        on_step: advances the progress bar; called with the number of a step and their total.
    """

    x: Tensor
    mask: Tensor
    number: int
    generator: torch.Generator
    on_step: Callable[[int, int], None]


def run_in_batches(
    infer_batch: Callable[[VAE, Batch], Columns],
    model: VAE,
    rows: RowsInBatches,
    *,
    rows_at_a_time: int,
    seed: int,
    purpose: str,
    quiet: bool,
) -> list[dict[str, Any]]:
    """Call `infer_batch` on every batch of some rows, and return the results in order.

    A batch depends on its number alone. Several processes share the batches, and the first one
    gets all results; the others get none.

    Args:
        infer_batch: function of the model and a batch.
        model: moved to the device.
        rows: the rows.
        rows_at_a_time: the size of a batch.
        seed: seed of the random streams.
        purpose: name of the random streams; each batch has one.
        quiet: show no progress bar.
    """
    keep_freed_memory()
    device = resolve_device("auto")
    model, results, here = model.to(device), list[Columns](), world()
    own = here.own(range(-(-len(rows) // rows_at_a_time)))
    with counting(len(rows) / here.size, rows.nouns, quiet=quiet) as advance:
        for number in own:
            x, mask = rows.batch(number, rows_at_a_time)
            noise = stream(seed, purpose, number, device=device)
            on_step = partial(_advance_by_step, advance, len(x))
            batch = Batch(x.to(device), mask.to(device), number, noise, on_step)
            results.append(infer_batch(model, batch))
    return here.gather(results)


def _advance_by_step(advance: Callable[[float], None], rows: int, _: int, steps: int) -> None:
    """Advance the bar by one of `steps` equal steps of a batch."""
    advance(rows / steps)
