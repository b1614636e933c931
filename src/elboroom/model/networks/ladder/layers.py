"""Layers of a ladder, on feature maps (B, C, h, w); vectors are maps of 1 × 1 pixels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.networks.ladder.sizes import Resolution
from elboroom.model.networks.layers import (
    Residual,
    as_input_of,
    at_least_float32,
    convolution,
    map_nonlinearity,
)

_SHARPNESS = math.log(2)  # softplus with it is 1 at 0
# Of means, and of deviations before softplus: few of a trained ladder are beyond, as −11 is.
_MOMENT_LIMIT = 10.0
_STATE_LIMIT = 100.0  # those of trained ladders stay below 50


def bottleneck(
    config: ModelConfig, each: Resolution, outputs: int, generator: torch.Generator
) -> nn.Sequential:
    """Return 1 × 1, 3 × 3, 3 × 3 and 1 × 1 convolutions, with half of the channels between.

    Child, *Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images*
    (2021), figure 3. An activation comes before each.
    """
    inputs, half = each.stage.channels, max(1, each.stage.channels // 2)
    kernels, widths = (1, each.kernel, each.kernel, 1), (inputs, half, half, half, outputs)
    layers = list[nn.Module]()
    for kernel, fan_in, fan_out in zip(kernels, widths[:-1], widths[1:], strict=True):
        layers += map_nonlinearity(config, fan_in)
        layers += [convolution(fan_in, fan_out, kernel, generator, padding=kernel // 2)]
    return nn.Sequential(*layers)


def block(
    config: ModelConfig, each: Resolution, count: int, generator: torch.Generator
) -> Residual:
    """Return x + branch(x), one of `count` in a network.

    The last weights are divided by √count, so that values do not grow with the depth: Child (2021),
    section 3.2.
    """
    branch = bottleneck(config, each, each.stage.channels, generator)
    _scale_last(branch, count**-0.5)
    return Residual(branch)


def zero_at_first(layers: nn.Sequential) -> nn.Sequential:
    """Set the last weights to zero, so that training begins with an output of zero."""
    _scale_last(layers, 0.0)
    return layers


@torch.no_grad()
def _scale_last(layers: nn.Sequential, factor: float) -> None:
    for parameter in layers[-1].parameters():
        parameter.mul_(factor)


def limited(x: Tensor, limit: float) -> Tensor:
    """Return x up to a limit c, and beyond it what tends to 2c, with a continuous slope.

    A level multiplies what it computes from its state: the deviation of the prior, and the mean of
    the noise. Without limits a rare draw is squared at every level, up to infinity.
    """
    # x, or sign(x) (2c − c² / |x|) where |x| > c
    size = x.abs()
    beyond = x.sign() * (2 * limit - limit**2 / size.clamp(min=limit))
    return torch.where(size <= limit, x, beyond)


def deviation(raw: Tensor) -> Tensor:
    """Return a standard deviation, softplus(raw log 2) / log 2 with `limited` raw: 1 at 0."""
    return F.softplus(limited(at_least_float32(raw), _MOMENT_LIMIT), beta=_SHARPNESS)


class TopDownLevel(nn.Module):
    """A level of the decoder: the state above it and its noise ε → the state below it.

    z = μ_p(state) + σ_p(state) ε are its latents: Kingma & Welling (2014), *Efficient
    gradient-based inference through transformations between Bayes nets and neural nets*, call ε
    non-centred. With them p(ε) = N(0, I) whatever the state.

    Args:
        config: options of the model.
        above: the resolution of the state that comes in.
        each: that of the level.
        count: number of blocks in the decoder.
        generator: random generator of the initial weights.
    """

    def __init__(
        self,
        config: ModelConfig,
        above: Resolution,
        each: Resolution,
        count: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        channels, self.shape = each.stage.channels, each.latents
        self.enter = _entrance(above, each, generator)
        """The state above, in the resolution of the level."""
        outputs = channels + 2 * each.latent_channels
        self.prior = zero_at_first(bottleneck(config, each, outputs, generator))
        self.embed = convolution(each.latent_channels, channels, 1, generator)
        self.block = block(config, each, count, generator)

    def take(self, state: Tensor, eps: Tensor) -> Tensor:
        """Take the noise ε (B, c · h · w) of the level into the state (B, C, h, w) that entered."""
        sizes = (state.shape[1], self.shape[0], self.shape[0])
        change, mean, raw = self.prior(state).split(sizes, 1)
        # z = μ_p + σ_p ε
        z = limited(mean, _MOMENT_LIMIT) + deviation(raw) * eps.unflatten(-1, self.shape)
        z = as_input_of(self.embed, _in_order_of(z, state))
        return limited(self.block(state + change + self.embed(z)), _STATE_LIMIT)

    def forward(self, state: Tensor, eps: Tensor) -> Tensor:
        """Compute the state below the level."""
        return self.take(self.enter(state), eps)


def _in_order_of(z: Tensor, state: Tensor) -> Tensor:
    """Lay maps out channels last in memory, if those of the state are."""
    is_last = state.is_contiguous(memory_format=torch.channels_last)
    return z.contiguous(memory_format=torch.channels_last) if is_last else z


def _entrance(above: Resolution, each: Resolution, generator: torch.Generator) -> nn.Module:
    if above.stage == each.stage:
        return nn.Identity()
    layer = convolution(above.stage.channels, each.stage.channels, 1, generator)
    # A convolution of 1 × 1 pixels and the copy of pixels can change places.
    return nn.Sequential(layer, nn.Upsample(each.stage.size))


class PosteriorHead(nn.Module):
    """The state above a level and features of x → mean and deviation of the level's noise.

    Its weights may have another type than those of the decoder, which the state is from.

    Args:
        config: options of the model.
        each: the resolution of the level.
        generator: random generator of the initial weights.
    """

    def __init__(self, config: ModelConfig, each: Resolution, generator: torch.Generator) -> None:
        super().__init__()
        channels, half = each.stage.channels, max(1, each.stage.channels // 2)

        def half_layer() -> nn.Sequential:
            inner = convolution(channels, half, 1, generator)
            return nn.Sequential(*map_nonlinearity(config, channels), inner)

        self.of_state, self.of_features = half_layer(), half_layer()
        outputs = 2 * each.latent_channels
        self.joint = zero_at_first(_rest_of_bottleneck(config, each, half, outputs, generator))

    def forward(self, state: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and deviation of ε, each (K · B, c · h · w).

        Args:
            state: K for each row, (K · B, C, h, w).
            features: `of_features` of the rows, (B, C / 2, h, w).
        """
        converts = torch.is_autocast_enabled(state.device.type) and state.dtype != torch.float64
        if not converts:  # autocast leaves float64 alone
            state = as_input_of(self.of_state, state)
        hidden = self.of_state(state)
        hidden = (hidden.unflatten(0, (-1, features.shape[0])) + features).flatten(0, 1)
        mean, raw = self.joint(hidden).chunk(2, 1)
        mean = limited(at_least_float32(mean), _MOMENT_LIMIT)
        return mean.flatten(1), deviation(raw).flatten(1)


def _rest_of_bottleneck(
    config: ModelConfig, each: Resolution, half: int, outputs: int, generator: torch.Generator
) -> nn.Sequential:
    """Return the 3 × 3 and the last 1 × 1 convolution."""
    inner = convolution(half, half, each.kernel, generator, padding=each.kernel // 2)
    last = convolution(half, outputs, 1, generator)
    return nn.Sequential(
        *map_nonlinearity(config, half), inner, *map_nonlinearity(config, half), last
    )
