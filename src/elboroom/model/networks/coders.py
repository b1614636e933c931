"""Networks: tensors to tensors, with no probability in them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.networks.jacobian import push
from elboroom.model.networks.layers import (
    Gated,
    Residual,
    empty_linear,
    linear,
    nonlinearity,
    require_eval_mode,
)


def network(
    widths: Sequence[int], config: ModelConfig, generator: torch.Generator
) -> nn.Sequential:
    """The network of `config` from the first of `widths` to the last, where it ends in a Linear."""
    return nn.Sequential(
        *_HIDDEN[config.network](widths[:-1], config, generator),
        linear(widths[-2], widths[-1], generator),
    )


def _mlp(widths: Sequence[int], config: ModelConfig, generator: torch.Generator) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [linear(fan_in, fan_out, generator), *nonlinearity(config, fan_out)]
    return layers


def _gated(
    widths: Sequence[int], config: ModelConfig, generator: torch.Generator
) -> list[nn.Module]:
    return [
        Gated(
            linear(fan_in, 2 * fan_out, generator),
            nn.Sequential(*nonlinearity(config, fan_out)),
        )
        for fan_in, fan_out in pairwise(widths)
    ]


def _residual(
    widths: Sequence[int], config: ModelConfig, generator: torch.Generator
) -> list[nn.Module]:
    """Normalisation and activation before each layer of a block: He et al. (2016), figure 1b."""
    width = widths[-1]

    def half() -> list[nn.Module]:
        return [*nonlinearity(config, width), linear(width, width, generator)]

    first = linear(widths[0], width, generator)
    blocks = [Residual(nn.Sequential(*half(), *half())) for _ in widths[1:]]
    return [first, *blocks, *nonlinearity(config, width)]


_Hidden = Callable[[Sequence[int], ModelConfig, torch.Generator], list[nn.Module]]
_HIDDEN: dict[str, _Hidden] = {"mlp": _mlp, "gated": _gated, "residual": _residual}


class Encoder(nn.Module):
    """x (B, *event) → the parameters of q(z | x), each (B, …): the first two are (B, D).

    Args:
        trunk: the network.
        sizes: numbers of each parameter, which its output is split into.
    """

    def __init__(self, trunk: nn.Module, sizes: Sequence[int]) -> None:
        super().__init__()
        self.trunk, self.sizes = trunk, tuple(sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The parameters, in float32 whatever the precision of the layers."""
        return _widened(self.trunk(x.flatten(1))).split(self.sizes, -1)


class Decoder(nn.Module):
    """z (..., D) → the likelihood's parameter (..., *event)."""

    def __init__(self, trunk: nn.Sequential, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.trunk = trunk
        self.event_shape = event_shape

    def forward(self, z: Tensor) -> Tensor:
        """The parameter, in float32 whatever the precision of the layers."""
        return _widened(self.trunk(z)).unflatten(-1, self.event_shape)

    def jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The parameter at z (B, D), and its derivative along each latent, (D, B, *event).

        Raises:
            UsageError: a batch normalisation is in training mode.
        """
        require_eval_mode(self)
        identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        pushed = push(self.trunk, z, identity[:, None].expand(-1, *z.shape))
        shaped = (_widened(t).unflatten(-1, self.event_shape) for t in pushed)
        return cast(tuple[Tensor, Tensor], tuple(shaped))

    def restricted_to(self, pixels: Tensor) -> "Decoder":
        """The decoder of some pixels only, as vectors (P,); `pixels` (P,) index the flat event.

        Only their rows of the last layer are kept, so that the others cost nothing.
        """
        last = cast(nn.Linear, self.trunk[-1])
        rows = empty_linear(last.in_features, len(pixels))
        rows.weight = nn.Parameter(last.weight.detach()[pixels], requires_grad=False)
        rows.bias = nn.Parameter(last.bias.detach()[pixels], requires_grad=False)
        return Decoder(nn.Sequential(*list(self.trunk)[:-1], rows), (len(pixels),))


def _widened(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.bfloat16 else x
