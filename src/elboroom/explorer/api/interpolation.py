"""Interpolation: a path of decoded pictures between two z, or a surface between four."""

from typing import Annotated, Literal

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.explorer.api.requests import LIMITS, Axes, Latents, Point, Request, RowNumber
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.number_array import NumberArray

PathName = Literal["straight", "spherical"]
_TINY = 1e-12
_NO_ANGLE = 1e-4  # sine of the least angle that an arc is turned by


class End(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An end of a path: exactly one of a row, z, and a point of the plane."""

    row: RowNumber | None = None
    z: Latents | None = None
    point: Point | None = None


class InterpolationRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two ends of a path, or the four corners of a surface: those above, then those below."""

    ends: Annotated[list[End], Meta(min_length=2, max_length=4)]
    axes: Axes | None = None
    path: Annotated[PathName, Meta(description="a line, or an arc about the prior's mean")] = (
        "straight"
    )
    steps: Annotated[int, Meta(ge=2, le=LIMITS["steps"])] = 11


class Interpolation(msgspec.Struct, frozen=True):
    """Pictures along a path of S steps, or on a surface of S × S.

    Attributes:
        images: tones, (S, C, H, W) or (S, S, C, H, W).
        points: the z on the plane, (S, 2) or (S, S, 2); null without a plane.
        z: (S, D) or (S, S, D).
    """

    images: NumberArray
    points: NumberArray | None
    z: NumberArray


@torch.no_grad()
def interpolation(explored: ExploredRun, request: InterpolationRequest) -> Interpolation:
    """Decode the means of p(x | z) between two or four z."""
    ends = torch.stack([_latents(explored, end, request.axes) for end in request.ends])
    if len(ends) == 3:
        raise UsageError(
            "three ends have no path", why="found 3 ends; expected 2 or 4", fix="give 2 or 4 ends"
        )
    z = _between(ends - explored.prior_mean, request) + explored.prior_mean
    images = explored.tones.drawn(explored.model.decode(z).mean)
    points = explored.plane(request.axes).project(z) if explored.axes else None
    return Interpolation(
        images, None if points is None else NumberArray.of(points), NumberArray.of(z)
    )


def _latents(explored: ExploredRun, end: End, axes: str | None) -> Tensor:
    """Return the z of an end, (D,)."""
    given = [kind for kind in (end.row, end.z, end.point) if kind is not None]
    if len(given) != 1:
        raise UsageError(
            "this end is not one place",
            why=f"found {len(given)} of row, z and point; expected one",
            fix="give one of row, z and point",
        )
    if end.z is not None:
        return explored.latents_of([end.z])[0]
    if end.point is not None:
        return explored.plane(axes).embed(torch.tensor(end.point))
    return explored.mean_of(end.row or 0)


def _between(ends: Tensor, request: InterpolationRequest) -> Tensor:
    """Return the z of a path (S, D) between two ends, or of a surface (S, S, D) between four."""
    t = torch.linspace(0, 1, request.steps)[:, None]
    along = _arc if request.path == "spherical" else torch.lerp
    if len(ends) == 2:
        return along(ends[0], ends[1], t)
    left, right = along(ends[0], ends[2], t), along(ends[1], ends[3], t)
    return along(left[:, None], right[:, None], t)


def _arc(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Turn from one z to another about the origin, as their lengths change evenly.

    Shoemake, *Animating rotation with quaternion curves* (1985), section 3.3, for any lengths. Ends
    in one line with the origin have no arc, and are joined by the line.
    """
    first, last = (z.norm(dim=-1, keepdim=True).clamp(min=_TINY) for z in (start, end))
    cosine = (start / first * end / last).sum(-1, keepdim=True).clamp(-1, 1)
    angle, sine = cosine.acos(), (1 - cosine.square()).sqrt()
    # sin((1 − t) θ)/sin θ · a + sin(t θ)/sin θ · b of the directions a and b
    turned = ((1 - t) * angle).sin() * start / first + (t * angle).sin() * end / last
    arc = torch.lerp(first, last, t) * turned / sine.clamp(min=_TINY)
    return torch.where(sine < _NO_ANGLE, torch.lerp(start, end, t), arc)
