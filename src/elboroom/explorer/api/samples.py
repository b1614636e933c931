"""Samples of the model: z of the prior, colder or warmer, and what it decodes to."""

from typing import Annotated, Literal

import msgspec
import torch
from msgspec import Meta

from elboroom.explorer.api.requests import LIMITS, Request, Seed
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.number_array import NumberArray
from elboroom.randomness import stream


class SamplesRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The number of samples, and their kind."""

    count: Annotated[int, Meta(ge=1, le=LIMITS["samples"])] = 24
    temperature: Annotated[
        float, Meta(ge=0, le=2, description="factor on the distance of z from the prior's mean")
    ] = 1.0
    values: Annotated[
        Literal["mean", "draw"], Meta(description="means of p(x | z), or draws of it")
    ] = "mean"
    seed: Seed = 0


class Samples(msgspec.Struct, frozen=True):
    """Samples of the model.

    Attributes:
        images: their tones, (N, C, H, W).
        z: (N, D).
    """

    images: NumberArray
    z: NumberArray


@torch.no_grad()
def samples(explored: ExploredRun, request: SamplesRequest) -> Samples:
    """Draw z from the prior, scale its distance from the mean, and decode it."""
    generator = stream(request.seed, "samples of the explorer")
    drawn = explored.model.prior(request.count).sample(1, generator)[0]
    z = explored.prior_mean + request.temperature * (drawn - explored.prior_mean)
    likelihood = explored.model.decode(z)
    x = likelihood.mean if request.values == "mean" else likelihood.sample(generator)
    return Samples(explored.tones.drawn(x), NumberArray.of(z))
