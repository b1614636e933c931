"""The density that an encoder computes for each row."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from elboroom.config import PosteriorName
from elboroom.model.networks import LadderDecoder, LadderEncoder
from elboroom.model.networks.layers import as_input_of, at_least_float32
from elboroom.model.posteriors import POSTERIOR_FAMILIES, Density, LadderFamily


def family_of(
    encoder: nn.Module, name: PosteriorName, latents: int, generator: torch.Generator
) -> Callable[..., Density]:
    """Return the map from the outputs of an encoder to a density.

    Args:
        encoder: that of a ladder brings its own map, whatever the name.
        name: the family of every other one.
        latents: D.
        generator: random generator of the map's initial weights, if it has any.
    """
    if isinstance(encoder, LadderEncoder):
        return LadderFamily(encoder.heads)
    return POSTERIOR_FAMILIES[name].build(latents, generator)


def encode(
    encoder: nn.Module, family: Callable[..., Density], decoder: nn.Module, x: Tensor
) -> Density:
    """Compute the density of each row.

    It has the wider type of x and of the encoder's weights, and float32 at least.

    Args:
        encoder: x (B, *event) → the parameters.
        family: the parameters → a density.
        decoder: that of the model, on whose states the levels of a ladder depend.
        x: what the encoder sees.
    """
    given = as_input_of(encoder, x)
    dtype = torch.promote_types(at_least_float32(x).dtype, given.dtype)
    if isinstance(family, LadderFamily):
        top, *features = encoder(given)
        return family(cast(LadderDecoder, decoder), top.to(dtype), *features)
    return family(*(one.to(dtype) for one in encoder(given)))
