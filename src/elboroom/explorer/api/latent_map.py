"""The latent map: where the encoder places the rows on a plane."""

import msgspec

from elboroom.explorer.api.requests import Axes, Request
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.number_array import NumberArray


class MapRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The plane of a map."""

    axes: Axes | None = None


class LatentMap(msgspec.Struct, frozen=True):
    """The encoded rows on a plane.

    Attributes:
        axes: name of the plane.
        names: names of its two axes.
        points: E_q[z] of each row on the plane, (N, 2).
        labels: the class of each row, (N,); null without labels.
    """

    axes: str
    names: tuple[str, str]
    points: NumberArray
    labels: NumberArray | None


def latent_map(explored: ExploredRun, request: MapRequest) -> LatentMap:
    """Place every row that is shown on a plane."""
    plane, labels = explored.plane(request.axes), explored.part.labels
    points = NumberArray.of(plane.project(explored.means))
    return LatentMap(
        plane.axes, plane.names, points, None if labels is None else NumberArray.of(labels)
    )
