"""The kind of network `ladder`: how both networks are built from a config."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from elboroom.config import ModelConfig
from elboroom.model.networks.coders import mlp_layers
from elboroom.model.networks.ladder.layers import (
    PosteriorHead,
    TopDownLevel,
    block,
    zero_at_first,
)
from elboroom.model.networks.ladder.networks import LadderDecoder, LadderEncoder
from elboroom.model.networks.ladder.sizes import LadderSizes, Resolution, widest
from elboroom.model.networks.layers import convolution, linear, map_nonlinearity
from elboroom.model.networks.maps import (
    ChannelsLast,
    FromMap,
    Output,
    SpaceToDepth,
    ToMap,
    doubling,
)
from elboroom.model.networks.network import NetworkKind


class Ladder(NetworkKind):
    """Levels of latents at several resolutions, from coarse to fine, with whitened noise.

    Sønderby et al., *Ladder Variational Autoencoders* (2016); the blocks are those of Child (2021).
    No convolution is at the full resolution. Vectors have one resolution, of 1 × 1 pixels.
    """

    def latents(self, config: ModelConfig, event_shape: tuple[int, ...]) -> int:
        """Return D, the sum over the levels; `config.latents` is that of the top."""
        return sum(LadderSizes.of(config, event_shape).latents)

    def encoder(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        sizes: Sequence[int],
        generator: torch.Generator,
    ) -> LadderEncoder:
        """Build the encoder; the parameters of q have the sizes that the levels have."""
        ladder = LadderSizes.of(config, event_shape)
        resolutions = ladder.resolutions
        count = sum(each.blocks for each in resolutions)
        climbs = [_blocks(config, resolutions[0], count, generator)]
        for larger, each in pairwise(resolutions):
            descent = _smaller(config, larger, each, generator)
            climbs.append(nn.Sequential(*descent, *_blocks(config, each, count, generator)))
        widths = [resolutions[-1].stage.values, *config.hidden]
        last = resolutions[-1].stage.channels
        layers = [
            *map_nonlinearity(config, last),
            FromMap(),
            *mlp_layers(widths, config, generator),
        ]
        top = nn.Sequential(*layers, linear(widths[-1], 2 * ladder.top, generator))
        levels = ladder.levels
        heads = [PosteriorHead(config, each, generator) for each in levels]
        places = [resolutions.index(each) for each in levels]
        first = _input(ladder, event_shape, generator)
        return LadderEncoder(first, climbs, zero_at_first(top), heads, places)

    def decoder(
        self, config: ModelConfig, parameter_shape: tuple[int, ...], generator: torch.Generator
    ) -> LadderDecoder:
        """Build a decoder whose output has the shape of the likelihood's parameter."""
        ladder = LadderSizes.of(config, parameter_shape)
        levels, smallest = ladder.levels, ladder.resolutions[-1]
        widths = [ladder.top, *config.hidden[::-1]]
        layers = mlp_layers(widths, config, generator)
        layers += [linear(widths[-1], smallest.stage.values, generator)]
        top = nn.Sequential(*layers, ToMap(smallest.stage.channels, *smallest.stage.size))
        pairs = pairwise([smallest, *levels])
        steps = [TopDownLevel(config, *pair, len(levels), generator) for pair in pairs]
        tail = _tail(config, ladder, levels[-1], parameter_shape, generator)
        values = widest(ladder, max(math.prod(parameter_shape), *widths))
        return LadderDecoder(top, steps, tail, ladder.latents, parameter_shape, values)

    def least_weights(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        parameter_shape: tuple[int, ...],
        outputs: int,
    ) -> int:
        """Count the weights of the blocks and of the layers to the top level.

        Raises:
            UsageError: `LadderSizes.of` refuses a shape or an option.
        """
        ladder = LadderSizes.of(config, event_shape)
        of_blocks = sum(
            (2 * each.kernel**2 + 4) * (each.stage.channels // 2) ** 2 * (each.blocks + each.levels)
            for each in ladder.resolutions
        )
        widths = [ladder.top, *config.hidden[::-1], ladder.resolutions[-1].stage.values]
        outer = math.prod(event_shape) + math.prod(parameter_shape)
        vectors = 0 if ladder.is_picture else outer * ladder.resolutions[0].stage.channels
        return of_blocks + 2 * sum(a * b for a, b in pairwise(widths)) + vectors


def _input(
    ladder: LadderSizes, event_shape: tuple[int, ...], generator: torch.Generator
) -> nn.Sequential:
    """Return the layers from x to the largest resolution."""
    first = ladder.resolutions[0]
    if not ladder.is_picture:
        values = math.prod(event_shape)
        layer = convolution(values, first.stage.channels, 1, generator)
        return nn.Sequential(nn.Flatten(), nn.Unflatten(1, (values, 1, 1)), layer)
    layer = convolution(4 * event_shape[0], first.stage.channels, 3, generator, padding=1)
    return nn.Sequential(ChannelsLast(), SpaceToDepth(), layer)


def _smaller(
    config: ModelConfig, larger: Resolution, each: Resolution, generator: torch.Generator
) -> list[nn.Module]:
    """Return the layers from a resolution to the one half as high and wide."""
    channels = larger.stage.channels
    layer = convolution(4 * channels, each.stage.channels, 1, generator)
    return [*map_nonlinearity(config, channels), SpaceToDepth(), layer]


def _blocks(
    config: ModelConfig, each: Resolution, count: int, generator: torch.Generator
) -> nn.Sequential:
    return nn.Sequential(*(block(config, each, count, generator) for _ in range(each.blocks)))


def _tail(
    config: ModelConfig,
    ladder: LadderSizes,
    last: Resolution,
    parameter_shape: tuple[int, ...],
    generator: torch.Generator,
) -> nn.Sequential:
    """Return the layers from the last state to the output, which four channels make each 2 × 2."""
    layers = map_nonlinearity(config, last.stage.channels)
    if not ladder.is_picture:
        values = math.prod(parameter_shape)
        layers += [convolution(last.stage.channels, values, 1, generator, bias=False)]
        return nn.Sequential(*layers, Output((values, 1, 1)))
    largest = ladder.resolutions[0].stage
    if last.stage.size != largest.size:
        layers += [nn.Upsample(largest.size)]
    layers += [doubling(last.stage.channels, parameter_shape[0], generator)]
    return nn.Sequential(*layers, nn.PixelShuffle(2), Output(parameter_shape))
