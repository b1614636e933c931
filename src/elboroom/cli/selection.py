"""The rows and masks that a command names."""

import torch
from torch import Tensor

from elboroom.data.dataset import Part
from elboroom.data.masks import load_mask
from elboroom.errors import UsageError
from elboroom.runs.run import Run


def mask_of(run: Run, name: str | None) -> Tensor:
    """The mask of that name; None sees everything."""
    if name is None:
        return torch.ones(run.event_shape, dtype=torch.bool)
    return load_mask(name, run.event_shape)


def rows_of(test: Part, index: tuple[int, ...] | None, first: int | None) -> list[int]:
    """Rows of the test part: those of `index`, or the first so many, or all."""
    if index is None:
        if first is not None and first > len(test):
            raise _beyond(f"--images {first} is more than the test part has", test)
        return list(range(len(test) if first is None else first))
    outside = [i for i in index if not 0 <= i < len(test)]
    if outside:
        raise _beyond(f"--index {outside[0]} is not a row of the test part", test)
    return list(index)


def in_parts(index: list[int], size: int) -> list[list[int]]:
    """Split `index` into parts of at most `size`."""
    return [index[start : start + size] for start in range(0, len(index), size)]


def _beyond(what: str, test: Part) -> UsageError:
    why = f"the test part has rows 0 to {len(test) - 1:,}"
    return UsageError(what, why=why, fix="name rows within it")
