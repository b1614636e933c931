"""Decoded pictures: at given z, at points of a plane, and the manifold of a whole rectangle."""

from typing import Annotated

import msgspec
import torch
from msgspec import Meta

from elboroom.errors import UsageError
from elboroom.explorer.api.requests import (
    LIMITS,
    Axes,
    Coordinate,
    Latents,
    Point,
    Request,
)
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.number_array import NumberArray


class ManifoldRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rectangle of a plane, divided into side × side tiles."""

    left: Coordinate
    right: Coordinate
    bottom: Coordinate
    top: Coordinate
    axes: Axes | None = None
    side: Annotated[int, Meta(ge=1, le=LIMITS["manifold"])] = 16


class DecodeRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Some z, or some points of a plane."""

    points: Annotated[list[Point], Meta(min_length=1, max_length=LIMITS["points"])] | None = None
    z: Annotated[list[Latents], Meta(min_length=1, max_length=LIMITS["points"])] | None = None
    axes: Axes | None = None


class Pictures(msgspec.Struct, frozen=True):
    """Tones of pictures, (..., C, H, W), 0 to 255."""

    images: NumberArray


@torch.no_grad()
def manifold(explored: ExploredRun, request: ManifoldRequest) -> Pictures:
    """Decode the centres of the tiles of a rectangle, from the top left on."""
    plane, share = explored.plane(request.axes), (torch.arange(request.side) + 0.5) / request.side
    across = request.left + share * (request.right - request.left)
    down = request.top + share * (request.bottom - request.top)
    second, first = torch.meshgrid(down, across, indexing="ij")
    means = explored.model.decode(plane.embed(torch.stack([first, second], -1))).mean
    return Pictures(explored.tones.drawn(means))


@torch.no_grad()
def decode(explored: ExploredRun, request: DecodeRequest) -> Pictures:
    """Decode some z, or some points of a plane, to the means of p(x | z)."""
    if request.points is not None and request.z is None:
        z = explored.plane(request.axes).embed(torch.tensor(request.points))
    elif request.z is not None and request.points is None:
        z = explored.latents_of(request.z)
    else:
        raise UsageError(
            "it is not clear what to decode",
            why=f"found {'none' if request.z is None else 'both'} of points and z; expected one",
            fix="give one of them",
        )
    return Pictures(explored.tones.drawn(explored.model.decode(z).mean))
