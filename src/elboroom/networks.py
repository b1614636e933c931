"""Networks: tensors to tensors, with no probability in them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.config import Activation

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


def mlp(widths: Sequence[int], activation: Activation, generator: torch.Generator) -> nn.Sequential:
    """A multilayer perceptron through `widths`, the activation between layers, none at the end."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [_linear(fan_in, fan_out, generator), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def _linear(fan_in: int, fan_out: int, generator: torch.Generator) -> nn.Linear:
    """Weights and biases uniform on ±1/√fan_in, PyTorch's default, from a given generator.

    On the reference experiment this ends 5 nats above N(0, 0.01²) initial weights.
    """
    layer = _empty_linear(fan_in, fan_out)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
    return layer


def _empty_linear(fan_in: int, fan_out: int) -> nn.Linear:
    """Without initial weights, whose drawing would move the global random state."""
    return cast(nn.Linear, nn.utils.skip_init(nn.Linear, fan_in, fan_out))


class Encoder(nn.Module):
    """x (B, *event) → the mean and the log standard deviation of q(z | x), each (B, D)."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation, in float32 whatever the precision of the layers."""
        mean, log_std = _widened(self.trunk(x.flatten(1))).chunk(2, -1)
        return mean, log_std


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

        Tangents go forward through the layers, whose activations act on each unit by itself.
        """
        value, identity = z, torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        tangents = identity[:, None].expand(-1, *z.shape)
        for layer in self.trunk:
            if isinstance(layer, nn.Linear):
                value, tangents = layer(value), F.linear(tangents, layer.weight)
            else:
                value, slope = _with_slope(layer, value)
                tangents = tangents * slope
        shaped = (_widened(t).unflatten(-1, self.event_shape) for t in (value, tangents))
        return cast(tuple[Tensor, Tensor], tuple(shaped))

    def restricted_to(self, pixels: Tensor) -> "Decoder":
        """The decoder of some pixels only, as vectors (P,); `pixels` (P,) index the flat event.

        Only their rows of the last layer are kept, so that the others cost nothing.
        """
        last = cast(nn.Linear, self.trunk[-1])
        rows = _empty_linear(last.in_features, len(pixels))
        rows.weight = nn.Parameter(last.weight.detach()[pixels], requires_grad=False)
        rows.bias = nn.Parameter(last.bias.detach()[pixels], requires_grad=False)
        return Decoder(nn.Sequential(*list(self.trunk)[:-1], rows), (len(pixels),))


@torch.enable_grad()
def _with_slope(activation: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """An elementwise activation, and its derivative."""
    x = x.detach().requires_grad_()
    y = activation(x)
    return y.detach(), torch.autograd.grad(y.sum(), x)[0]


def _widened(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.bfloat16 else x
