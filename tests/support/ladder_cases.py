"""Small ladders in float64, whose weights are not those of the start."""

from dataclasses import replace

import torch
from torch import Tensor

from elboroom.config import ModelConfig
from elboroom.model.vae import VAE

SMALL = ModelConfig(
    latents=2,
    hidden=(),
    activation="silu",
    network="ladder",
    channels=(6,),
    level_channels=(1,),
    likelihood="bernoulli",
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def ladder(event: tuple[int, ...], seed: int = 0, spread: float = 0.3, **changes) -> VAE:
    """A ladder whose levels, heads and prior are away from their start at zero."""
    model = VAE.from_config(replace(SMALL, **changes), event, generator=generator(seed)).double()
    for number, p in enumerate(model.parameters()):
        p.data += spread * numbers(*p.shape, seed=seed + 100 + number)
    return model.eval().requires_grad_(False)


def two_scalars(seed: int = 0, pixels: int = 5) -> VAE:
    """Two levels of one latent each: D = 2, so that the grid is exact."""
    return ladder((pixels,), seed, spread=0.6, latents=1, levels=(1,))


def linear(pixels: int = 6, seed: int = 0) -> VAE:
    """A ladder whose output is affine in the noise, with unit noise of the data.

    The activation is the identity, and no deviation depends on the state above.
    """
    model = ladder(
        (pixels,),
        seed,
        levels=(2,),
        activation="identity",
        likelihood="gaussian",
        noise=1.0,
        standardise="none",
    )
    for level in model.decoder.levels:
        level.prior[-1].weight.data[-level.shape[0] :] = 0.0
    return model
