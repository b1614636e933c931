"""The kind of a data set's values, from which the default likelihood follows."""

from collections.abc import Iterable
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from elboroom.config import ValueKind
from elboroom.data.part import Part
from elboroom.data.sharing import errors_of_all, spread

_STEPS = 255  # between the levels 0 and 1 of a byte
_ROUNDING = 1e-5  # how far a value may lie from its level
_KINDS: tuple[ValueKind, ...] = get_args(ValueKind)  # each includes those before it


def value_kind(parts: Iterable[Part]) -> ValueKind:
    """Return the narrowest kind that has all values of some parts; missing ones are of any.

    Reading ends as soon as no narrower kind is possible. Ranks share a part on disk.
    """
    widest = 0
    for part in parts:
        if part.redraw:
            continue
        last = _KINDS.index("bytes" if part.images.dtype == torch.uint8 else "real")
        with errors_of_all(on_disk=part.on_disk):
            for values in part.values():
                widest = max(widest, _KINDS.index(_kind_of(values[~values.isnan()])))
                if widest >= last:
                    break
        found = spread([{"widest": np.array(widest)}], on_disk=part.on_disk)
        widest = max(int(rank["widest"]) for rank in found)
    return _KINDS[widest]


def _kind_of(values: Tensor) -> ValueKind:
    if ((values == 0) | (values == 1)).all():
        return "binary"
    if not ((values >= 0) & (values <= 1)).all():
        return "real"
    return "bytes" if _are_levels(values * _STEPS).all() else "unit"


def _are_levels(level: Tensor) -> Tensor:
    """Return True where a value is a level of a byte; small numbers are not the level 0."""
    nearest = level.round()
    return ((level - nearest).abs() < _STEPS * _ROUNDING) & ((nearest > 0) | (level == 0))
