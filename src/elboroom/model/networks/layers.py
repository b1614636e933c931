"""The layers of networks. A given generator draws all initial weights."""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.errors import UsageError

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}
_CHANNELS_OF_A_GROUP = 16


def linear(fan_in: int, fan_out: int, generator: torch.Generator) -> nn.Linear:
    """Return a layer with weights and biases uniform on ±1/√fan_in, PyTorch's default.

    In the reference experiment this ends 5 nats above N(0, 0.01²) initial weights.
    """
    layer = empty_linear(fan_in, fan_out)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
    return layer


class Convolution(nn.Conv2d):
    """A convolution, x (B, C, H, W) → (B, C', H', W'), with gradients that are right at any size.

    If oneDNN itself pads maps that are one pixel wide, the gradient of a kernel of even width in
    bfloat16 is made of memory that nobody wrote.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Compute what `nn.Conv2d` does."""
        if input.shape[-1] > 1 or self.kernel_size[1] % 2:
            return super().forward(input)
        height, width = cast(tuple[int, int], self.padding)
        padded = F.pad(input, (width, width, height, height))
        return F.conv2d(padded, self.weight, self.bias, self.stride)


def convolution(
    fan_in: int, fan_out: int, kernel: int, generator: torch.Generator, **options: Any
) -> Convolution:
    """Return a convolution with biases of 0 and weights uniform with variance 1/n of n inputs.

    LeCun et al., *Efficient BackProp* (1998). Three epochs of 10,000 digits end 3 nats above
    PyTorch's default, which shrinks the values at each of many layers.
    """
    layer = Convolution(fan_in, fan_out, kernel, device="meta", **options).to_empty(device="cpu")
    # uniform on ±b has variance b²/3
    bound = (3 / (fan_in * kernel**2)) ** 0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def empty_linear(fan_in: int, fan_out: int) -> nn.Linear:
    """Return a layer without initial weights: drawing them would move the global random state."""
    return nn.Linear(fan_in, fan_out, device="meta").to_empty(device="cpu")


def at_least_float32(x: Tensor) -> Tensor:
    """Widen 16-bit numbers, which layers compute under autocast, to float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def widen(module: nn.Module) -> None:
    """Convert parameters and buffers of 16 bits to float32."""
    module._apply(lambda t: at_least_float32(t) if t.is_floating_point() else t)


def as_input_of(module: nn.Module, x: Tensor) -> Tensor:
    """Convert numbers to the floating-point type of a module's parameters, if it has any."""
    types = (p.dtype for p in module.parameters() if p.is_floating_point())
    return x.to(next(types, x.dtype))


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over all leading axes, (..., C) → (..., C): Ioffe & Szegedy (2015)."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise units by statistics of the batch in training, else by the running ones."""
        rows = input.reshape(-1, self.num_features)
        if self.training and len(rows) == 1:  # one row has no variance
            running = (self.running_mean, self.running_var)
            y = F.batch_norm(rows, *running, self.weight, self.bias, eps=self.eps)
        else:
            y = super().forward(rows)
        return y.view_as(input)


def nonlinearity(config: ModelConfig, width: int) -> list[nn.Module]:
    """Return the normalisation of `width` units, if any, and the activation."""
    norms = {"none": [], "layer": [nn.LayerNorm], "batch": [BatchNorm], "group": [group_norm]}
    layers = [norm(width) for norm in norms[config.normalisation]]
    return [*layers, _ACTIVATIONS[config.activation]()]


def map_nonlinearity(config: ModelConfig, channels: int) -> list[nn.Module]:
    """Return the same for feature maps (B, channels, h, w), where a row's units are all values."""
    if config.normalisation == "layer":
        return [nn.GroupNorm(1, channels), _ACTIVATIONS[config.activation]()]
    return nonlinearity(config, channels)


def group_norm(channels: int) -> nn.GroupNorm:
    """Return a normalisation of equal groups of channels, (B, channels, ...) → the same shape.

    Wu & He, *Group Normalization* (2018). A group has 16 channels, or more where they do not divide
    evenly. On processors, smaller groups take several times as long.
    """
    most = max(1, channels // _CHANNELS_OF_A_GROUP)
    return nn.GroupNorm(next(g for g in range(most, 0, -1) if channels % g == 0), channels)


class Gated(nn.Module):
    """x → act(W x + b) σ(V x + c), W and V stacked in one linear layer.

    Dauphin et al., *Language Modeling with Gated Convolutional Networks* (2017), equation 1, where
    the activation is the identity, as in Tomczak & Welling, *VAE with a VampPrior* (2018).
    """

    def __init__(self, affine: nn.Linear, nonlinearity: nn.Sequential) -> None:
        super().__init__()
        self.affine, self.nonlinearity = affine, nonlinearity

    def forward(self, x: Tensor) -> Tensor:
        """Compute (..., inputs) → (..., units); the affine layer has twice as many units."""
        value, gate = self.affine(x).chunk(2, -1)
        return self.nonlinearity(value) * gate.sigmoid()


class Residual(nn.Module):
    """x → x + branch(x): He et al., *Identity Mappings in Deep Residual Networks* (2016)."""

    def __init__(self, branch: nn.Sequential) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """Compute (..., units) → (..., units)."""
        return x + self.branch(x)


def require_eval_mode(module: nn.Module) -> None:
    """Check that no layer mixes rows of a batch, as batch normalisation does in training mode.

    Raises:
        UsageError: a batch normalisation is in training mode.
    """
    kind = nn.modules.batchnorm._BatchNorm
    if any(isinstance(layer, kind) and layer.training for layer in module.modules()):
        raise UsageError(
            "this model is in training mode",
            why="its batch normalisation would make each row depend on the other rows of the batch",
            fix="call model.eval() first",
        )
