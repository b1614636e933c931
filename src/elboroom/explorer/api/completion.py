"""Completion: the posterior given the seen pixels, and what the model makes of the others."""

import math
from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from elboroom.config import MethodName
from elboroom.errors import UsageError
from elboroom.explorer.api.inference import Found, Inference, InferenceRequest
from elboroom.explorer.api.quality import Evidence, Quality
from elboroom.explorer.api.requests import LIMITS, MOST_VALUES, Axes, Coordinate
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.left_out import left_out, surprise
from elboroom.explorer.number_array import NumberArray
from elboroom.infer.completion import complete
from elboroom.infer.grid import GridPosterior
from elboroom.infer.posterior import Posterior
from elboroom.model.vae import VAE
from elboroom.randomness import fork, stream

_SURPRISE_DRAWS = 256
_SHOWN_DRAWS = 200  # of z, on the plane
_HEAT_SIDE = 72
_HEAT_DEPTH = 12.0  # nats below the maximum that the heat map reaches to
_FLOOR = 30.0  # nats below the maximum at which the heat map is cut


class CompletionRequest(InferenceRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Values, which of them are seen, and how to infer z from these."""

    x: Annotated[
        list[Coordinate],
        Meta(min_length=1, max_length=MOST_VALUES, description="all values in C order"),
    ]
    seen: Annotated[
        list[Annotated[int, Meta(ge=0, le=1)]],
        Meta(min_length=1, max_length=MOST_VALUES, description="1 where a value is seen"),
    ]
    refine: Annotated[
        bool, Meta(description="false: stop `laplace` at the mode, in a third of the time")
    ] = True
    axes: Axes | None = None
    draws: Annotated[int, Meta(ge=1, le=LIMITS["draws"])] = 8


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


class CompletedPicture(msgspec.Struct, frozen=True, kw_only=True):
    """The posterior of z given the seen values, and the values that the model makes of it.

    Attributes:
        method: the method of inference.
        refined: false if it was stopped at the mode.
        seconds: the time that inference took.
        log_evidence: log p(x_seen); null if nothing estimates it.
        quality: how good the posterior is.
        posterior: on the plane; null without one.
        mean: E[x | x_seen], (*event), seen values as given.
        draws: tones of draws of p(x | x_seen), (S, *event).
        surprise: −log p(x_i | the other seen values) in nats, (*event), NaN where unseen.
    """

    method: MethodName
    refined: bool
    seconds: float
    log_evidence: Evidence | None
    quality: list[Quality]
    posterior: PlanePosterior | None
    mean: NumberArray
    draws: NumberArray
    surprise: NumberArray


@torch.no_grad()
def completion(explored: ExploredRun, request: CompletionRequest) -> CompletedPicture:
    """Infer z from the seen values, and draw the others given them."""
    model, (x, seen) = explored.model, _row(explored, request)
    noise = stream(request.seed, "completion of the explorer")
    inferred = Inference.of(explored, request, x, seen, fork(noise), refine=request.refine)
    posterior = inferred.posterior
    found = Found.of(explored, posterior, fork(noise))
    filled = complete(model, x, seen, posterior, draws=request.draws, generator=fork(noise))
    return CompletedPicture(
        method=inferred.method,
        refined=request.refine,
        seconds=inferred.seconds,
        log_evidence=found.evidence,
        quality=found.quality,
        posterior=_on_plane(explored, request.axes, posterior, found) if explored.axes else None,
        mean=NumberArray.of(filled.mean[0]),
        draws=explored.tones.drawn(filled.draws[:, 0]),
        surprise=NumberArray.of(_surprise(model, x, seen, posterior)),
    )


def _row(explored: ExploredRun, request: CompletionRequest) -> tuple[Tensor, Tensor]:
    """Return the values and the mask of a request, each (1, *event)."""
    for name, found in {"x": request.x, "seen": request.seen}.items():
        if len(found) != explored.values:
            raise UsageError(
                f"{name} does not fit the model",
                why=f"found {len(found)} numbers; expected {explored.values}, one for each value",
                fix="give all values of a row in C order",
            )
    shape = (1, *explored.model.event_shape)
    seen = torch.tensor(request.seen, dtype=torch.bool).view(shape)
    return torch.tensor(request.x, dtype=torch.float32).view(shape), seen


def _on_plane(
    explored: ExploredRun, axes: str | None, posterior: Posterior, found: Found
) -> PlanePosterior:
    plane = explored.plane(axes)
    return PlanePosterior(
        axes=plane.axes,
        names=plane.names,
        mean=plane.project(posterior.mean[0]).tolist(),
        covariance=plane.covariance(posterior).tolist(),
        heat=None if found.exact is None else _heat(found.exact),
        fitted_kl=found.kl,
        draws=NumberArray.of(plane.project(posterior.sample(_SHOWN_DRAWS)[:, 0])),
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


def _surprise(model: VAE, x: Tensor, seen: Tensor, posterior: Posterior) -> Tensor:
    """Compute −log p(x_i | x_seen without i) of seen values in nats, (*event), NaN elsewhere."""
    z = posterior.sample(_SURPRISE_DRAWS)
    log_p = model.decode(z).log_prob_per_value(x, seen)
    found = surprise(left_out(torch.zeros_like(log_p), log_p), log_p)
    return found.masked_fill(~seen, torch.nan)[0]
