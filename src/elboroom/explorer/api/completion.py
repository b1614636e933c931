"""Completion: the posterior given the seen pixels, and what the model makes of the others."""

from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from elboroom.config import MethodName
from elboroom.errors import UsageError
from elboroom.explorer.api.inference import Found, Inference, InferenceRequest
from elboroom.explorer.api.plane_posterior import PlanePosterior
from elboroom.explorer.api.quality import Evidence, Quality
from elboroom.explorer.api.requests import LIMITS, MOST_VALUES, Axes, Coordinate
from elboroom.explorer.decoded_draws import DecodedDraws
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.number_array import NumberArray
from elboroom.randomness import fork, stream


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
    drawn = DecodedDraws.of(model, x, seen, posterior)
    plane = explored.plane(request.axes) if explored.axes else None
    return CompletedPicture(
        method=inferred.method,
        refined=request.refine,
        seconds=inferred.seconds,
        log_evidence=found.evidence,
        quality=found.quality,
        posterior=None if plane is None else PlanePosterior.of(plane, posterior, found, drawn.z),
        mean=NumberArray.of(drawn.mean),
        draws=explored.tones.drawn(drawn.completions(request.draws, fork(noise))),
        surprise=NumberArray.of(drawn.surprise),
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
