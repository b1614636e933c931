"""Convolutional encoders and decoders of pictures of any size.

No residual block works at the full resolution. The first convolution halves it, and the last one
computes four output pixels at each position (Shi et al., *Real-Time Single Image and Video
Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network*, 2016).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.model.networks.jacobian import push, tangent_basis
from elboroom.model.networks.layers import (
    Residual,
    at_least_float32,
    convolution,
    linear,
    map_nonlinearity,
    nonlinearity,
)
from elboroom.model.networks.maps import ChannelsLast, FromMap, Output, ToMap
from elboroom.model.networks.network import DecoderNetwork, EncoderNetwork, NetworkKind

_SMALL = 8  # pixels: sides are halved until they are this long or shorter
_LARGEST_OF_BLOCKS = 32  # pixels: blocks at higher resolutions would take most of a step


@dataclass(frozen=True)
class Stage:
    """A resolution of the network.

    Attributes:
        channels: number of channels of its feature maps.
        height, width: their size.
    """

    channels: int
    height: int
    width: int

    @property
    def values(self) -> int:
        """Number of values of a feature map."""
        return self.channels * self.height * self.width

    @property
    def blocks(self) -> int:
        """Number of residual blocks."""
        return int(max(self.height, self.width) <= _LARGEST_OF_BLOCKS)


def default_channels(height: int, width: int) -> tuple[int, ...]:
    """Return the channels after each halving of a picture's sides, until both are 8 or less.

    They are 32, and the last two halvings double them: 28 × 28 pixels have 32 channels at 14 × 14
    and 64 at 7 × 7, and 128 × 128 have 32, 32, 64 and 128.
    """
    halvings = max(1, _halvings_until(_SMALL, height, width))
    return (32,) * max(1, halvings - 2) + (64, 128)[: halvings - 1]


def stages_of(config: ModelConfig, shape: tuple[int, ...]) -> list[Stage]:
    """Return the stages of a network for pictures (C, H, W), from the picture to the latents.

    Raises:
        UsageError: events of this shape are no pictures, or `channels` has more widths than their
            sides can be halved.
    """
    if len(shape) != 3:
        raise UsageError(
            "--network conv needs pictures",
            why=f"found rows of shape {shape}; expected (channels, height, width)",
            fix="use --network mlp, gated or residual",
        )
    _, height, width = shape
    channels = default_channels(height, width) if config.channels == "auto" else config.channels
    _require_stages(channels, height, width)
    stages = list[Stage]()
    for each in channels:
        height, width = -(-height // 2), -(-width // 2)
        stages.append(Stage(each, height, width))
    return stages


class ConvEncoder(EncoderNetwork):
    """x (B, C, H, W) → the parameters of q(z | x), each (B, …): the first two are (B, D).

    Args:
        trunk: the network, x → (B, sum of sizes).
        sizes: number of values of each parameter.
    """

    def __init__(self, trunk: nn.Sequential, sizes: Sequence[int]) -> None:
        super().__init__()
        self.trunk, self.sizes = trunk, tuple(sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the parameters, in float32 even where layers compute in bfloat16."""
        return at_least_float32(self.trunk(x)).split(self.sizes, -1)


class ConvDecoder(DecoderNetwork):
    """z (..., D) → the parameter of the likelihood, (..., C, H, W).

    Args:
        trunk: the network, z (B, D) → (B, C, H, W); its last layer is `output`.
        output: the layer that adds the bias.
        widest_activation: the largest number of values that a layer has for one z.
        outside_products: number of values for one z that are computed by other layers than linear
            layers and convolutions.
    """

    def __init__(
        self,
        trunk: nn.Sequential,
        output: Output,
        widest_activation: int,
        outside_products: int,
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*trunk, output)
        self.parameter_shape = output.shape
        self._widest_activation, self._outside_products = widest_activation, outside_products

    def forward(self, z: Tensor) -> Tensor:
        """Compute the parameter, in float32 even where layers compute in bfloat16."""
        output = self.trunk(z.reshape(-1, z.shape[-1]))
        return output.view(*z.shape[:-1], *self.parameter_shape)

    @property
    def widest_activation(self) -> int:
        """The largest number of values of any feature map, or of the last layers."""
        return self._widest_activation

    @property
    def output_bias(self) -> nn.Parameter:
        """The bias of the output, one value for each entry."""
        return cast(Output, self.trunk[-1]).bias

    def values_outside_products(self, parameter_shape: tuple[int, ...]) -> int:
        """Count the values of activations, sums and resampling, and the outputs."""
        return self._outside_products + math.prod(parameter_shape)

    def jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the parameter at z (B, D), and its derivative by each latent, (D, B, C, H, W)."""
        value, tangents = push(self.trunk, z, tangent_basis(z))
        return value, at_least_float32(tangents)


class Convolutional(NetworkKind):
    """Residual networks that halve the resolution at each stage; the decoder mirrors the encoder.

    Blocks are pre-activated, as in He et al., *Identity Mappings in Deep Residual Networks* (2016).
    Fully connected layers of `hidden` units lie between the smallest feature maps and the latents.
    """

    def encoder(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        sizes: Sequence[int],
        generator: torch.Generator,
    ) -> ConvEncoder:
        """Build an encoder whose output has the given sizes, one for each parameter of q."""
        stages, last = stages_of(config, event_shape), stages_of(config, event_shape)[-1]
        height, width = event_shape[1:]
        first = _halving(event_shape[0], stages[0], (height, width), 4, generator)
        layers: list[nn.Module] = [ChannelsLast(), first, *_blocks(config, stages[0], generator)]
        for stage, smaller in pairwise(stages):
            size = stage.height, stage.width
            layers += map_nonlinearity(config, stage.channels)
            layers += [_halving(stage.channels, smaller, size, 2, generator)]
            layers += _blocks(config, smaller, generator)
        layers += [*map_nonlinearity(config, last.channels), FromMap()]
        for fan_in, fan_out in pairwise([last.values, *config.hidden]):
            layers += [linear(fan_in, fan_out, generator), *nonlinearity(config, fan_out)]
        fan_in = [last.values, *config.hidden][-1]
        return ConvEncoder(nn.Sequential(*layers, linear(fan_in, sum(sizes), generator)), sizes)

    def decoder(
        self, config: ModelConfig, parameter_shape: tuple[int, ...], generator: torch.Generator
    ) -> ConvDecoder:
        """Build a decoder whose output has the shape of the likelihood's parameter."""
        stages = stages_of(config, parameter_shape)[::-1]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise([config.latents, *config.hidden[::-1]]):
            layers += [linear(fan_in, fan_out, generator), *nonlinearity(config, fan_out)]
        fan_in = [config.latents, *config.hidden[::-1]][-1]
        layers += [linear(fan_in, stages[0].values, generator), _to_map(stages[0])]
        layers += _blocks(config, stages[0], generator)
        for stage, larger in pairwise(stages):
            layers += map_nonlinearity(config, stage.channels)
            layers += [convolution(stage.channels, larger.channels, 1, generator)]
            layers += [nn.Upsample((larger.height, larger.width))]
            layers += _blocks(config, larger, generator)
        channels, outputs = stages[-1].channels, 4 * parameter_shape[0]
        layers += map_nonlinearity(config, channels)
        layers += [convolution(channels, outputs, 3, generator, padding=1, bias=False)]
        layers += [nn.PixelShuffle(2)]
        unshuffled = outputs * stages[-1].height * stages[-1].width
        widest = max(unshuffled, *config.hidden, *(stage.values for stage in stages))
        outside = sum((2 + 3 * stage.blocks) * stage.values for stage in stages)
        return ConvDecoder(nn.Sequential(*layers), Output(parameter_shape), widest, outside)

    def least_weights(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        parameter_shape: tuple[int, ...],
        outputs: int,
    ) -> int:
        """Count the weights of the convolutions of each block, and of the fully connected layers.

        Raises:
            UsageError: `stages_of` refuses the shape or the channels.
        """
        stages = stages_of(config, event_shape)
        stages_of(config, parameter_shape)
        convolutions = sum(4 * 9 * stage.blocks * stage.channels**2 for stage in stages)
        values = stages[-1].values
        vectors = [config.latents, *config.hidden[::-1], values, *config.hidden, outputs]
        return convolutions + sum(a * b for a, b in pairwise(vectors))


def _halving(
    fan_in: int, stage: Stage, size: tuple[int, int], kernel: int, generator: torch.Generator
) -> nn.Conv2d:
    """Return a convolution from maps of a size to those of `stage`, half as high and wide.

    An odd side is padded, so that its last row or column counts.
    """
    height, width = size
    padding = kernel // 2 - 1 + height % 2, kernel // 2 - 1 + width % 2
    return convolution(fan_in, stage.channels, kernel, generator, stride=2, padding=padding)


def _blocks(config: ModelConfig, stage: Stage, generator: torch.Generator) -> list[nn.Module]:
    """Return the residual blocks of a stage: x + W₂ ∗ act(W₁ ∗ act(x) + b₁) + b₂."""
    channels = stage.channels

    def half_block() -> list[nn.Module]:
        layer = convolution(channels, channels, 3, generator, padding=1)
        return [*map_nonlinearity(config, channels), layer]

    return [Residual(nn.Sequential(*half_block(), *half_block())) for _ in range(stage.blocks)]


def _to_map(stage: Stage) -> ToMap:
    return ToMap(stage.channels, stage.height, stage.width)


def _halvings_until(most: int, height: int, width: int) -> int:
    """Count the halvings of two sides until both are `most` or less."""
    side, count = max(height, width), 0
    while side > most:
        side, count = -(-side // 2), count + 1
    return count


def _require_stages(channels: Sequence[int], height: int, width: int) -> None:
    """Check that a picture can be halved as often as there are widths.

    Raises:
        UsageError: it has fewer pixels.
    """
    most = max(1, _halvings_until(1, height, width))
    if len(channels) > most:
        raise UsageError(
            f"--channels {' '.join(map(str, channels))} has too many widths",
            why=f"each halves the resolution, and {height} × {width} pixels can be halved "
            f"{most} times",
            fix=f"give {most} widths or fewer, or auto",
        )
