"""The posterior on a plane of z: its moments, draws, and the exact density where there is one."""

import math

import msgspec
import torch
from torch import Tensor

from elboroom.explorer.api.inference import Found
from elboroom.explorer.number_array import NumberArray
from elboroom.explorer.plane import Plane
from elboroom.infer.grid import GridPosterior
from elboroom.infer.posterior import Posterior

_HEAT_SIDE = 72
_HEAT_DEPTH = 12.0  # nats below the maximum that the heat map reaches to
_FLOOR = 30.0  # nats below the maximum at which the heat map is cut


class Heat(msgspec.Struct, frozen=True):
    """The exact log p(z | x_seen) in nats at the centres of n × n tiles of a square.

    Attributes:
        left: the least first latent at a border of the square; so are the others.
        right: the largest.
        bottom: the least second latent.
        top: the largest.
        log_density: (n, n), the first row at the bottom.
    """

    left: float
    right: float
    bottom: float
    top: float
    log_density: NumberArray


class PlanePosterior(msgspec.Struct, frozen=True, kw_only=True):
    """The posterior on a plane.

    Attributes:
        axes: name of the plane.
        names: names of its axes.
        mean: of the posterior.
        covariance: that of the posterior.
        heat: the exact density; null unless D = 2.
        fitted_kl: KL(q ‖ p(z | x_seen)) in nats of the fit; null if it is not known exactly.
        draws: (S, 2).
    """

    axes: str
    names: tuple[str, str]
    mean: list[float]
    covariance: list[list[float]]
    heat: Heat | None
    fitted_kl: float | None
    draws: NumberArray

    @classmethod
    def of(
        cls, plane: Plane, posterior: Posterior, found: Found, draws: Tensor
    ) -> "PlanePosterior":
        """Project the posterior of one row, and draws of it (S, 1, D)."""
        return cls(
            axes=plane.axes,
            names=plane.names,
            mean=plane.project(posterior.mean[0]).tolist(),
            covariance=plane.covariance(posterior).tolist(),
            heat=None if found.exact is None else _heat(found.exact),
            fitted_kl=found.kl,
            draws=NumberArray.of(plane.project(draws[:, 0])),
        )


def _heat(exact: GridPosterior) -> Heat:
    """Lay the cells of the grid out on a square that holds what is likely."""
    side = exact.cells.spacing[0].item()
    likely = exact.cells.points[exact.log_density >= exact.log_density.max() - _HEAT_DEPTH]
    across = int(((likely.amax(0) - likely.amin(0)) / side).max().round()) + 1
    parts = math.ceil(_HEAT_SIDE / across)
    low = likely.amin(0) - side / 2
    points, log_density = (values.flatten(0, 1) for values in exact.refined(parts))
    place = ((points - low) * parts / side - 0.5).round().long()
    inside = ((place >= 0) & (place < across * parts)).all(-1)
    first, second = place[inside].T
    floor = float(log_density.max()) - _FLOOR
    table = torch.full((across * parts,) * 2, floor, dtype=torch.float64)
    table[second, first] = log_density[inside].clamp(min=floor)
    (left, bottom), (right, top) = low.tolist(), (low + across * side).tolist()
    return Heat(left, right, bottom, top, NumberArray.of(table))
