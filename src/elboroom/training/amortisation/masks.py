"""Random masks of what is seen, of every size and of several shapes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from elboroom.randomness import uniforms

_CHANCES = {
    "scattered": 1 / 2,
    "box seen": 1 / 8,
    "box hidden": 1 / 8,
    "half": 1 / 8,
    "whole": 1 / 16,
    "empty": 1 / 16,
}
"""The probability of each kind of mask."""


def scattered_masks(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw masks (B, *places) that show k places of P at random, k uniform in 0 … P.

    Args:
        shape: (B, *places).
        like: a tensor on the device of the masks.
        generator: random generator of the masks.
    """
    # ∫ C(P, k) u^k (1 − u)^(P − k) du = 1 / (P + 1)
    density = uniforms((shape[0], *[1] * (len(shape) - 1)), like, generator)
    return uniforms(shape, like, generator) < density


def random_masks(
    rows: int, event_shape: tuple[int, ...], like: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw a mask for each row, (B, *event), True where a value is seen.

    Half of the masks show any number of places at random. The others show or hide a box of any
    size and proportions, show one half, everything, or nothing. A box of a vector is a run of
    neighbours. The channels of pictures are seen together.

    Args:
        rows: B.
        event_shape: shape of x; that of pictures is (C, H, W).
        like: a tensor on the device of the masks.
        generator: random generator of the masks.
    """
    places = event_shape[1:] if len(event_shape) == 3 else event_shape
    box = _boxes(rows, places, like, generator)
    empty = torch.zeros_like(box)
    half = _halves(rows, places, like, generator)
    scattered = scattered_masks((rows, *places), like, generator)
    kinds = torch.stack([scattered, box, ~box, half, ~empty, empty])
    chances = torch.tensor([*_CHANCES.values()], device=like.device)
    which = torch.multinomial(chances, rows, True, generator=generator)
    found = kinds[which, torch.arange(rows, device=like.device)]
    if len(event_shape) == 3:
        found = found[:, None]
    return found.expand(rows, *event_shape)


def _boxes(rows: int, places: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw boxes whose ends along each axis are uniform, (B, *places), True inside."""
    sizes = like.new_tensor(places, dtype=torch.float32)
    ends = (uniforms((2, rows, len(places)), sizes, generator) * (sizes + 1)).floor()
    return _between(ends.amin(0), ends.amax(0), places)


def _halves(rows: int, places: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one half along one of the axes, (B, *places), True inside."""
    sizes = like.new_tensor(places, dtype=torch.float32).expand(rows, -1)
    middle = (sizes / 2).floor()
    axis, side = uniforms((2, rows, 1), sizes, generator)
    cut = (axis * len(places)).floor() == torch.arange(len(places), device=like.device)
    first = cut & (side < 0.5)
    low = torch.where(cut & ~first, sizes - middle, torch.zeros_like(sizes))
    return _between(low, torch.where(first, middle, sizes), places)


def _between(low: Tensor, high: Tensor, places: tuple[int, ...]) -> Tensor:
    """Return True where low ≤ i < high along every axis, for limits (B, axes)."""
    found = torch.ones(len(low), *places, dtype=torch.bool, device=low.device)
    for axis, size in enumerate(places):
        shape = [1] * len(places)
        shape[axis] = size
        i = torch.arange(size, device=low.device).view(1, *shape)
        limits = (end[:, axis].view(-1, *[1] * len(places)) for end in (low, high))
        start, end = limits
        found &= (i >= start) & (i < end)
    return found
