"""Blocks of broadcast arrays that a processor computes together, in its cache."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Block = tuple[slice, ...]
"""An index of part of an array."""
_VALUES = 1 << 16


def in_blocks(*arguments: Tensor) -> Iterator[tuple[Block, list[Tensor]]]:
    """Yield blocks of the shape to which the arguments broadcast, and the parts that belong there.

    Other devices than processors, and compiled code, take all in one.
    """
    shape = torch.broadcast_shapes(*(argument.shape for argument in arguments))
    whole = arguments[0].device.type != "cpu" or torch.compiler.is_compiling() or len(shape) < 2
    every = (slice(None),) * len(shape)
    for block in (every,) if whole else _split(shape):
        yield block, [_part(argument, block) for argument in arguments]


def _split(shape: Sequence[int]) -> Iterator[Block]:
    """Split leading axes."""
    inner = math.prod(shape[1:])
    if inner > _VALUES and len(shape) > 1:
        for i in range(shape[0]):
            yield from ((slice(i, i + 1), *rest) for rest in _split(shape[1:]))
    else:
        rows = max(1, _VALUES // max(1, inner))
        for i in range(0, shape[0], rows):
            yield (slice(i, i + rows), *(slice(None) for _ in shape[1:]))


def _part(tensor: Tensor, block: Block) -> Tensor:
    """Return the part of a tensor, broadcast to the whole, that belongs to a block."""
    own = block[len(block) - tensor.ndim :]
    return tensor[
        tuple(
            slice(None) if size == 1 else part for size, part in zip(tensor.shape, own, strict=True)
        )
    ]
