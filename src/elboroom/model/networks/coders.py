"""Fully connected encoders and decoders."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.networks.jacobian import push
from elboroom.model.networks.layers import (
    Gated,
    Residual,
    at_least_float32,
    empty_linear,
    linear,
    nonlinearity,
    require_eval_mode,
)
from elboroom.model.networks.network import DecoderNetwork, EncoderNetwork, NetworkKind

HiddenLayers = Callable[[Sequence[int], ModelConfig, torch.Generator], list[nn.Module]]


class Encoder(EncoderNetwork):
    """x (B, *event) → the parameters of q(z | x), each (B, …): the first two are (B, D).

    Args:
        trunk: the network.
        sizes: number of values of each parameter; the output of the network is split into them.
    """

    def __init__(self, trunk: nn.Module, sizes: Sequence[int]) -> None:
        super().__init__()
        self.trunk, self.sizes = trunk, tuple(sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the parameters, in float32 even where layers compute in bfloat16."""
        return at_least_float32(self.trunk(x.flatten(1))).split(self.sizes, -1)


class Decoder(DecoderNetwork):
    """z (..., D) → the parameter of the likelihood, (..., *parameter).

    Args:
        trunk: the network; its last layer is linear.
        parameter_shape: shape of the output, that of x for most likelihoods.
    """

    def __init__(self, trunk: nn.Sequential, parameter_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.trunk = trunk
        self.parameter_shape = parameter_shape

    def forward(self, z: Tensor) -> Tensor:
        """Compute the parameter, in float32 even where layers compute in bfloat16."""
        return at_least_float32(self.trunk(z)).unflatten(-1, self.parameter_shape)

    @property
    def widest_activation(self) -> int:
        """The largest output of any linear layer."""
        return max(a.out_features for a in self.modules() if isinstance(a, nn.Linear))

    @property
    def output_bias(self) -> nn.Parameter:
        """The bias of the last layer, one value for each entry of the output."""
        return self._output.bias

    def pushed(self, z: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the parameter at z (B, D), and its derivatives along R directions, (R, B, D).

        The latter are (R, B, *parameter).

        Raises:
            UsageError: a batch normalisation is in training mode.
        """
        require_eval_mode(self)
        value, tangents = push(self.trunk, z, tangents)
        shape = self.parameter_shape
        return (
            at_least_float32(value).unflatten(-1, shape),
            at_least_float32(tangents).unflatten(-1, shape),
        )

    def restricted_to(self, entries: Tensor) -> "Decoder":
        """Return the decoder of some entries of the flat output, without gradients.

        The last layer keeps only the rows of these entries, so the others cost nothing.
        """
        last, flat = self._output, entries.flatten()
        rows = empty_linear(last.in_features, len(flat))
        rows.weight = nn.Parameter(last.weight.detach()[flat], requires_grad=False)
        rows.bias = nn.Parameter(last.bias.detach()[flat], requires_grad=False)
        return Decoder(nn.Sequential(*list(self.trunk)[:-1], rows), tuple(entries.shape))

    @property
    def _output(self) -> nn.Linear:
        return cast(nn.Linear, self.trunk[-1])


@dataclass(frozen=True)
class FullyConnected(NetworkKind):
    """Encoders and decoders of linear layers; the decoder mirrors the encoder.

    Attributes:
        hidden: builds the hidden layers from widths; the first is the input's.
    """

    hidden: HiddenLayers

    def encoder(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        sizes: Sequence[int],
        generator: torch.Generator,
    ) -> Encoder:
        """Build an encoder whose output has the given sizes, one for each parameter of q."""
        widths = _encoder_widths(config, event_shape, sum(sizes))
        return Encoder(self.trunk(widths, config, generator), sizes)

    def decoder(
        self, config: ModelConfig, parameter_shape: tuple[int, ...], generator: torch.Generator
    ) -> Decoder:
        """Build a decoder whose output has the shape of the likelihood's parameter."""
        widths = _decoder_widths(config, parameter_shape)
        return Decoder(self.trunk(widths, config, generator), parameter_shape)

    def trunk(
        self, widths: Sequence[int], config: ModelConfig, generator: torch.Generator
    ) -> nn.Sequential:
        """Build the layers from the first of `widths` to the last, where they end in a Linear."""
        hidden = self.hidden(widths[:-1], config, generator)
        return nn.Sequential(*hidden, linear(widths[-2], widths[-1], generator))

    def least_weights(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        parameter_shape: tuple[int, ...],
        outputs: int,
    ) -> int:
        """Count one matrix for each layer; gated and residual layers have more."""
        encoder = _encoder_widths(config, event_shape, outputs) if outputs else []
        decoder = _decoder_widths(config, parameter_shape)
        return sum(a * b for a, b in (*pairwise(encoder), *pairwise(decoder)))


def mlp_layers(
    widths: Sequence[int], config: ModelConfig, generator: torch.Generator
) -> list[nn.Module]:
    """Build layers h = act(W x + b)."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [linear(fan_in, fan_out, generator), *nonlinearity(config, fan_out)]
    return layers


def gated_layers(
    widths: Sequence[int], config: ModelConfig, generator: torch.Generator
) -> list[nn.Module]:
    """Build layers h = act(W x + b) σ(V x + c)."""
    return [
        Gated(linear(fan_in, 2 * fan_out, generator), nn.Sequential(*nonlinearity(config, fan_out)))
        for fan_in, fan_out in pairwise(widths)
    ]


def residual_layers(
    widths: Sequence[int], config: ModelConfig, generator: torch.Generator
) -> list[nn.Module]:
    """Build a linear layer, then one residual block for each width.

    Normalisation and activation come before each layer of a block: He et al. (2016), figure 1b.
    """
    width = widths[-1]

    def half_block() -> list[nn.Module]:
        return [*nonlinearity(config, width), linear(width, width, generator)]

    first = linear(widths[0], width, generator)
    blocks = [Residual(nn.Sequential(*half_block(), *half_block())) for _ in widths[1:]]
    return [first, *blocks, *nonlinearity(config, width)]


def _encoder_widths(config: ModelConfig, event_shape: tuple[int, ...], outputs: int) -> list[int]:
    return [math.prod(event_shape), *config.hidden, outputs]


def _decoder_widths(config: ModelConfig, parameter_shape: tuple[int, ...]) -> list[int]:
    return [config.latents, *config.hidden[::-1], math.prod(parameter_shape)]
