"""Agreement: all processes that train a model have the same weights and moments, bit for bit.

Each computes the same update from the same gradients. Processors of two kinds may round it in two
ways, and the difference would grow in silence.
"""

import warnings
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from elboroom.device import World

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Types that read the bits of a value, by its bytes."""


def restore_agreement(tensors: Mapping[str, Tensor], world: World) -> None:
    """Give all processes the tensors of the first one if any bit differs, and warn.

    Args:
        tensors: those that must agree, changed in place.
        world: the processes.
    """
    if world.size == 1:
        return
    mine = _bits(tensors.values())
    firsts = mine.clone()
    world.take_first([firsts])
    names = list(tensors)
    differ = [names[place] for place in (mine != firsts).nonzero()[:, 0].tolist()]
    if first := world.first_text(differ[0] if differ else ""):
        world.take_first(tensors.values())
        warnings.warn(
            f"{first.replace('|', ' ')} came out differently in two of {world.size} processes, as "
            "on processors of two kinds; all now have that of the first. The same processes on "
            "other machines may end with other bits.",
            stacklevel=2,
        )


def _bits(tensors: Iterable[Tensor]) -> Tensor:
    """Return a number for each tensor that follows from its bits, (N,) int64."""
    sums = [t.detach().contiguous().view(_INTEGERS[t.element_size()]).sum() for t in tensors]
    return torch.stack([total.to(torch.int64).cpu() for total in sums])
