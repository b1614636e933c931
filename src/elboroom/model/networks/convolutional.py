"""Convolutional encoders and decoders of pictures of any size.

No residual block works at the full resolution. The first convolution halves it, and the last one
computes four output pixels at each position (Shi et al., *Real-Time Single Image and Video
Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network*, 2016).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.networks.coders import mlp_layers
from elboroom.model.networks.jacobian import push
from elboroom.model.networks.layers import (
    Residual,
    at_least_float32,
    convolution,
    linear,
    map_nonlinearity,
)
from elboroom.model.networks.maps import ChannelsLast, FromMap, Output, ToMap, doubling
from elboroom.model.networks.network import DecoderNetwork, EncoderNetwork, NetworkKind
from elboroom.model.networks.stages import Stage, stages_of

_FIRST_KERNEL, _KERNEL = 4, 2  # sides of the kernels that halve a picture and feature maps
_VALUES_AT_A_TIME = 1 << 24  # of the largest feature maps of rows that are encoded together


class ConvEncoder(EncoderNetwork):
    """x (B, C, H, W) → the parameters of q(z | x), each (B, …): the first two are (B, D).

    Args:
        trunk: the network, x → (B, sum of sizes).
        sizes: number of values of each parameter.
        widest_activation: the largest number of values that a layer has for one row.
    """

    def __init__(self, trunk: nn.Sequential, sizes: Sequence[int], widest_activation: int) -> None:
        super().__init__()
        self.trunk, self.sizes = trunk, tuple(sizes)
        self._rows = max(1, _VALUES_AT_A_TIME // widest_activation)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the parameters, in float32 even where layers compute in bfloat16.

        Without gradients, rows are computed in parts: feature maps of a whole data set would fill
        the memory.
        """
        parts = (x,) if torch.is_grad_enabled() else x.split(self._rows)
        output = torch.cat([self.trunk(part) for part in parts])
        return at_least_float32(output).split(self.sizes, -1)


class ConvDecoder(DecoderNetwork):
    """z (..., D) → the parameter of the likelihood, (..., C, H, W).

    Args:
        trunk: the network, z (B, D) → (B, C, H, W), but for its last layer.
        output: the last layer, which adds the bias.
        widest_activation: the largest number of values that a layer has for one z.
    """

    def __init__(self, trunk: nn.Sequential, output: Output, widest_activation: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*trunk, output)
        self.parameter_shape = output.shape
        self._widest_activation = widest_activation

    def forward(self, z: Tensor) -> Tensor:
        """Compute the parameter, in float32 even where layers compute in bfloat16."""
        output = self.trunk(z.reshape(-1, z.shape[-1]))
        return output.view(*z.shape[:-1], *self.parameter_shape)

    @property
    def widest_activation(self) -> int:
        """The largest number of values of any layer."""
        return self._widest_activation

    @property
    def output_bias(self) -> nn.Parameter:
        """The bias of the output, one value for each entry."""
        return cast(Output, self.trunk[-1]).bias

    def around_last_product(self) -> tuple[nn.Module, nn.Module]:
        """Return all layers but the last two, which move pixels to their places and add the bias.

        Compiled, convolutions on a processor are no faster.
        """
        return self.trunk[:-2], self.trunk[-2:]

    def pushed(self, z: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the parameter at z (B, D), and its derivatives along R directions, (R, B, D).

        The latter are (R, B, C, H, W).
        """
        value, tangents = push(self.trunk, z, tangents)
        return value, at_least_float32(tangents)


class Convolutional(NetworkKind):
    """Residual networks that halve the picture at each stage; the decoder mirrors the encoder.

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
        stages = stages_of(config, event_shape)
        channels, *size = event_shape
        layers = [ChannelsLast(), _halving(channels, stages[0], size, _FIRST_KERNEL, generator)]
        layers += _blocks(config, stages[0], generator)
        for stage, smaller in pairwise(stages):
            layers += map_nonlinearity(config, stage.channels)
            layers += [_halving(stage.channels, smaller, stage.size, _KERNEL, generator)]
            layers += _blocks(config, smaller, generator)
        layers += [*map_nonlinearity(config, stages[-1].channels), FromMap()]
        widths = [stages[-1].values, *config.hidden]
        layers += mlp_layers(widths, config, generator)
        trunk = nn.Sequential(*layers, linear(widths[-1], sum(sizes), generator))
        widest = max(math.prod(event_shape), *(stage.values for stage in stages))
        return ConvEncoder(trunk, sizes, widest)

    def decoder(
        self, config: ModelConfig, parameter_shape: tuple[int, ...], generator: torch.Generator
    ) -> ConvDecoder:
        """Build a decoder whose output has the shape of the likelihood's parameter."""
        stages = stages_of(config, parameter_shape)[::-1]
        first, last = stages[0], stages[-1]
        widths = [config.latents, *config.hidden[::-1]]
        layers = mlp_layers(widths, config, generator)
        layers += [linear(widths[-1], first.values, generator), ToMap(first.channels, *first.size)]
        layers += _blocks(config, first, generator)
        for stage, larger in pairwise(stages):
            layers += map_nonlinearity(config, stage.channels)
            # A convolution of 1 × 1 pixels and the copy of pixels can change places.
            layers += [convolution(stage.channels, larger.channels, 1, generator)]
            layers += [nn.Upsample(larger.size), *_blocks(config, larger, generator)]
        layers += map_nonlinearity(config, last.channels)
        layers += [doubling(last.channels, parameter_shape[0], generator), nn.PixelShuffle(2)]
        widest = max(
            4 * parameter_shape[0] * math.prod(last.size),
            *widths,
            *(stage.values for stage in stages),
        )
        return ConvDecoder(nn.Sequential(*layers), Output(parameter_shape), widest)

    def least_weights(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        parameter_shape: tuple[int, ...],
        outputs: int,
    ) -> int:
        """Count all weights but biases and those of norms.

        Raises:
            UsageError: `stages_of` refuses a shape or the channels.
        """
        stages_of(config, parameter_shape)
        stages = stages_of(config, event_shape)
        first, values = stages[0].channels, stages[-1].values
        pairs = sum(a * b for a, b in pairwise(stage.channels for stage in stages))
        blocks = sum(2 * 9 * stage.blocks * stage.channels**2 for stage in stages)
        widths = [config.latents, *config.hidden[::-1], values]
        decoder = first * 4 * 9 * parameter_shape[0] + pairs + blocks + _products(widths)
        if not outputs:  # there is no encoder
            return decoder
        encoder = first * _FIRST_KERNEL**2 * event_shape[0] + _KERNEL**2 * pairs + blocks
        return decoder + encoder + _products([values, *config.hidden, outputs])


def _products(widths: Sequence[int]) -> int:
    """Count the weights of matrices between layers of these widths."""
    return sum(a * b for a, b in pairwise(widths))


def _halving(
    fan_in: int, stage: Stage, size: Sequence[int], kernel: int, generator: torch.Generator
) -> nn.Module:
    """Return a convolution from maps of a size to those of `stage`, half as high and wide.

    An odd side is padded, so that its last row or column counts.
    """
    padding = tuple(kernel // 2 - 1 + side % 2 for side in size)
    return convolution(fan_in, stage.channels, kernel, generator, stride=2, padding=padding)


def _blocks(config: ModelConfig, stage: Stage, generator: torch.Generator) -> list[nn.Module]:
    """Return the residual blocks of a stage: x + W₂ ∗ act(W₁ ∗ act(x) + b₁) + b₂.

    Normalisation and activation come before each layer of a block: He et al. (2016), figure 1b.
    """

    def half_block() -> list[nn.Module]:
        layer = convolution(stage.channels, stage.channels, 3, generator, padding=1)
        return [*map_nonlinearity(config, stage.channels), layer]

    return [Residual(nn.Sequential(*half_block(), *half_block())) for _ in range(stage.blocks)]
