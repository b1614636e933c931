"""Columns whose values are the codes 0 … C − 1 of C levels, with different C side by side."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class LevelIndex(NamedTuple):
    """The places of the levels of n columns in a flat row (E,), and in a padded table (n, C).

    Attributes:
        column: (E,), the column of each entry.
        level: (E,), the code of each entry.
        entry: (n, C), the entry of each place; 0 for padding.
        is_padding: (n, C), True where a column has no such level.
        place: (E,), the place of each entry in the flattened table.
    """

    column: Tensor
    level: Tensor
    entry: Tensor
    is_padding: Tensor
    place: Tensor


@lru_cache(256)
def level_index(levels: tuple[int, ...], device: torch.device) -> LevelIndex:
    """Return the index of columns with the given numbers of levels."""
    counts = torch.tensor(levels, device=device)
    column = torch.repeat_interleave(torch.arange(len(levels), device=device), counts)
    first = counts.cumsum(0) - counts
    level = torch.arange(len(column), device=device) - first[column]
    codes = torch.arange(max(levels), device=device)
    is_padding = codes >= counts[:, None]
    entry = (first[:, None] + codes).masked_fill(is_padding, 0)
    return LevelIndex(column, level, entry, is_padding, column * max(levels) + level)


def one_hot(x: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Return 1 at the level of each value and 0 at the others, (..., n) → (..., E)."""
    index = level_index(levels, x.device)
    return (x[..., index.column] == index.level).to(x.dtype)


def padded(entries: Tensor, levels: tuple[int, ...], padding: float) -> Tensor:
    """Return flat entries (..., E) as a table (..., n, C), filled up with `padding`."""
    if len(set(levels)) == 1:
        return entries.unflatten(-1, (len(levels), levels[0]))
    index = level_index(levels, entries.device)
    return entries[..., index.entry].masked_fill(index.is_padding, padding)


def flat(table: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Return the entries (..., E) of a padded table (..., n, C)."""
    entries = table.flatten(-2)
    if len(set(levels)) == 1:
        return entries
    return entries[..., level_index(levels, table.device).place]


def at_level(table: Tensor, x: Tensor) -> Tensor:
    """Return the entry of each value's level, (..., n, C) and (..., n) → (..., n)."""
    shape = torch.broadcast_shapes(table.shape[:-1], x.shape)
    code = x.long().expand(shape)[..., None]
    return table.expand(*shape, table.shape[-1]).gather(-1, code)[..., 0]


def shares(found: Tensor, count: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Return the smoothed shares of the levels of each column from those found, (E,) → (E,).

    Half a row more of each level keeps them away from 0 and 1. A column without any value has equal
    shares.
    """
    size = torch.tensor(levels, device=found.device)[level_index(levels, found.device).column]
    # (N f_c + ½) / (N + ½ C)
    return (found.nan_to_num(0.0) * count + 0.5) / (count + 0.5 * size)
