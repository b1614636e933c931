"""elboroom's networks for pictures in flax: the same layers and widths, for pictures (B, H, W, C).

The presets `pictures` and `mnist-ladder-20min` have them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, random


class ConvVAE(nn.Module):
    """Residual networks that halve the picture at each stage; the decoder mirrors the encoder.

    Attributes:
        channels: of each stage, the largest first.
        latents: D.
        outputs: number of channels of the likelihood's parameter.
    """

    channels: tuple[int, ...]
    latents: int
    outputs: int

    @nn.compact
    def __call__(self, x: Array, key: Array) -> tuple[Array, Array]:
        """Compute the KL in nats, (B,), and the likelihood's parameter (B, H, W, outputs)."""
        mean, log_std = jnp.split(self._encoded(x), 2, -1)
        z = mean + jnp.exp(log_std) * random.normal(key, mean.shape)
        return _kl(mean, log_std), self._decoded(z, x.shape[1:3])

    def _encoded(self, x: Array) -> Array:
        first, *rest = self.channels
        h = _Residual(first)(nn.Conv(first, (4, 4), 2, padding=1)(x))
        for width in rest:
            h = _Residual(width)(nn.Conv(width, (2, 2), 2, padding="VALID")(_norm(h)))
        return nn.Dense(2 * self.latents)(_norm(h).reshape(len(x), -1))

    def _decoded(self, z: Array, size: Sequence[int]) -> Array:
        smallest, *rest = self.channels[::-1]
        side = [each >> len(self.channels) for each in size]
        h = nn.Dense(math.prod(side) * smallest)(z).reshape(len(z), *side, smallest)
        h = _Residual(smallest)(h)
        for width in rest:
            h = _Residual(width)(_enlarged(nn.Conv(width, (1, 1))(_norm(h))))
        return _Output(self.outputs)(_norm(h))


class Level(NamedTuple):
    """A resolution of a ladder, largest first: its maps, levels of latents and encoder's blocks."""

    channels: int
    side: int
    levels: int
    latent_channels: int
    blocks: int


class LadderVAE(nn.Module):
    """A top-down decoder with levels of whitened latents at several resolutions.

    Attributes:
        resolutions: largest first.
        top: number of latents of the top level.
    """

    resolutions: tuple[Level, ...]
    top: int

    @nn.compact
    def __call__(self, x: Array, key: Array) -> tuple[Array, Array]:
        """Compute the KL in nats, (B,), and the logits (B, H, W, 1)."""
        maps = self._climbed(x)
        smallest = self.resolutions[-1]
        top = nn.silu(maps[-1]).reshape(len(x), -1)
        mean, log_std = jnp.split(nn.Dense(2 * self.top, kernel_init=nn.zeros)(top), 2, -1)
        z = mean + jnp.exp(log_std) * random.normal(key, mean.shape)
        kl, shape = _kl(mean, log_std), (smallest.side, smallest.side, smallest.channels)
        state = nn.Dense(math.prod(shape))(z).reshape(len(x), *shape)
        for each, features in zip(self.resolutions[::-1], maps[::-1], strict=True):
            if state.shape[1] != each.side:
                state = _enlarged(nn.Conv(each.channels, (1, 1))(state))
            for i in range(each.levels):
                noise = random.fold_in(key, 8 * each.side + i)
                state, more = _TopDownLevel(each)(state, features, noise)
                kl = kl + more
        return kl, _Output(1)(nn.silu(state))

    def _climbed(self, x: Array) -> list[Array]:
        state, maps = nn.Conv(self.resolutions[0].channels, (3, 3))(_folded(x)), list[Array]()
        for i, each in enumerate(self.resolutions):
            if i:
                state = nn.Conv(each.channels, (1, 1))(_folded(nn.silu(state)))
            for _ in range(each.blocks):
                state = state + _Bottleneck(each.channels)(state)
            maps.append(state)
        return maps


class _TopDownLevel(nn.Module):
    each: Level

    @nn.compact
    def __call__(self, state: Array, features: Array, key: Array) -> tuple[Array, Array]:
        """Compute the state below the level, and the KL of the level in nats, (B,)."""
        each, half = self.each, self.each.channels // 2
        hidden = sum(nn.Conv(half, (1, 1))(nn.silu(part)) for part in (state, features))
        hidden = nn.Conv(half, (3, 3))(nn.silu(hidden))
        last = nn.Conv(2 * each.latent_channels, (1, 1), kernel_init=nn.zeros)
        mean, raw = jnp.split(last(nn.silu(hidden)), 2, -1)
        eps = mean + _deviation(raw) * random.normal(key, mean.shape)
        prior = _Bottleneck(each.channels + 2 * each.latent_channels)(state)
        cuts = each.channels, each.channels + each.latent_channels
        change, prior_mean, prior_raw = jnp.split(prior, cuts, -1)
        # z = μ_p + σ_p ε
        z = prior_mean + _deviation(prior_raw) * eps
        state = state + change + nn.Conv(each.channels, (1, 1))(z)
        kl = _kl(mean, jnp.log(_deviation(raw))).sum((1, 2))
        return state + _Bottleneck(each.channels)(state), kl


class _Residual(nn.Module):
    channels: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        h = nn.Conv(self.channels, (3, 3))(_norm(x))
        return x + nn.Conv(self.channels, (3, 3))(_norm(h))


class _Bottleneck(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        half = x.shape[-1] // 2
        for kernel, width in ((1, half), (3, half), (3, half), (1, self.outputs)):
            x = nn.Conv(width, (kernel, kernel))(nn.silu(x))
        return x


class _Output(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, h: Array) -> Array:
        rows, height, width, _ = h.shape
        h = nn.Conv(4 * self.outputs, (3, 3), use_bias=False)(h)
        h = h.reshape(rows, height, width, 2, 2, self.outputs).swapaxes(2, 3)
        h = h.reshape(rows, 2 * height, 2 * width, self.outputs)
        return h + self.param("bias", nn.zeros, h.shape[1:])


def _norm(h: Array) -> Array:
    """Normalise, and activate; the layer is made within the module that calls this."""
    return nn.silu(nn.GroupNorm(num_groups=1)(h))


def _enlarged(h: Array) -> Array:
    return h.repeat(2, 1).repeat(2, 2)


def _folded(x: Array) -> Array:
    """Return the four pixels of each 2 × 2 as channels."""
    rows, height, width, channels = x.shape
    h = x.reshape(rows, height // 2, 2, width // 2, 2, channels).swapaxes(2, 3)
    return h.reshape(rows, height // 2, width // 2, 4 * channels)


def _deviation(raw: Array) -> Array:
    return nn.softplus(raw * math.log(2)) / math.log(2)


def _kl(mean: Array, log_std: Array) -> Array:
    """Compute KL(N(μ, σ²) ‖ N(0, 1)), summed over the last axis."""
    return 0.5 * (mean**2 + jnp.exp(2 * log_std) - 1 - 2 * log_std).sum(-1)
