"""Layers between pictures, feature maps and vectors.

Feature maps lie channels last in memory, where convolutions are fastest.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.model.networks.layers import at_least_float32, convolution


class ChannelsLast(nn.Module):
    """x (B, C, H, W) → the same values, channels last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Copy the values into the other order, if there is more than one channel."""
        if x.shape[1] > 1:
            return x.contiguous(memory_format=torch.channels_last)
        # The order of one channel is both at once; its strides must say which.
        return x.squeeze(1).unsqueeze(-1).movedim(-1, 1)


class FromMap(nn.Module):
    """x (B, C, h, w) → vectors (B, h·w·C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the vectors, without a copy if x lies channels last."""
        return x.movedim(1, -1).flatten(1)


class ToMap(nn.Module):
    """Vectors (B, h·w·C) → feature maps (B, C, h, w), channels last in memory.

    Args:
        channels: C.
        height, width: h and w.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = height, width, channels

    def forward(self, x: Tensor) -> Tensor:
        """Compute the maps, without a copy."""
        return x.unflatten(1, self.shape).movedim(-1, 1)


class Output(nn.Module):
    """x (B, C, ≥ H, ≥ W) → x (B, C, H, W), cropped, plus a bias for each of its values.

    Args:
        shape: (C, H, W).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.bias = nn.Parameter(torch.zeros(math.prod(shape)))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the sum, in float32 even where layers compute in bfloat16."""
        return at_least_float32(self.crop(x)) + self.bias.view(self.shape)

    def crop(self, x: Tensor) -> Tensor:
        """Return the first H rows and W columns, in the order of memory that pictures have."""
        return x[..., : self.shape[1], : self.shape[2]].contiguous()


class SpaceToDepth(nn.Module):
    """x (B, C, H, W) → the four pixels of each 2 × 2 as channels, (B, 4 C, ⌈H/2⌉, ⌈W/2⌉).

    An odd side is padded with zeros.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Move the pixels, and keep them channels last in memory if they are."""
        is_last = x.is_contiguous(memory_format=torch.channels_last)
        moved = F.pixel_unshuffle(F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)), 2)
        return moved.contiguous(memory_format=torch.channels_last) if is_last else moved


def doubling(fan_in: int, fan_out: int, generator: torch.Generator) -> nn.Conv2d:
    """Return a convolution to the four pixels at each position, which begin with equal weights.

    With weights of their own they would begin as a checkerboard, of which training leaves a part:
    Aitken et al., *Checkerboard artifact free sub-pixel convolution* (2017).
    """
    layer = convolution(fan_in, 4 * fan_out, 3, generator, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[::4].repeat_interleave(4, 0))
    return layer
