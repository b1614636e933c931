"""Posteriors of many rows as arrays: draws, means, evidence and diagnostics."""

import math

import torch
from torch import Tensor

from elboroom import device
from elboroom.infer.posterior import Posterior

_COPIES = 3  # the parts, the joined array, and the content of the file


def size_of(shape: tuple[int, int, int, int]) -> int:
    """Return the bytes of draws `z` of this shape, (C, k, N, D)."""
    return math.prod(shape) * torch.empty(0).element_size()


def require_room(shape: tuple[int, int, int, int]) -> None:
    """Check that draws (C, k, N, D) can be held until they are written, before they are made.

    Raises:
        UsageError: if the memory is not free.
    """
    _, draws, images, _ = shape
    device.require_room((_COPIES, *shape), torch.empty(0), draws=draws, images=images)


def to_arrays(posterior: Posterior, k: int) -> dict[str, Tensor]:
    """Return the arrays that are stored of a posterior of B rows, on the CPU.

    Args:
        posterior: result of any method.
        k: number of draws to store for each row and chain.

    Returns:
        `z` (C, k, B, D), in the layout of ArviZ; `mean` (B, D); `elbo` or `log_evidence` (B,) in
        nats, if the method gives it; each diagnostic, (B,); and `kept_draws`, (B,), the number of
        draws that mean and diagnostics are of, if they are of draws.
    """
    found = {"z": posterior.sample_chains(k), "mean": posterior.mean}
    found |= posterior.evidence | posterior.diagnostics
    if posterior.kept_draws is not None:
        found["kept_draws"] = torch.full((len(posterior.target),), posterior.kept_draws)
    return {name: table.detach().cpu() for name, table in found.items()}


def join(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenate the rows of all parts."""
    names = parts[0].keys()
    return {n: torch.cat([part[n] for part in parts], 2 if n == "z" else 0) for n in names}
