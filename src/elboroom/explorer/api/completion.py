"""Completion: the posterior given the seen pixels, and what the model makes of the others."""

import math
import time
from dataclasses import dataclass
from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from elboroom.config import MethodName
from elboroom.errors import UsageError
from elboroom.explorer.api.quality import (
    Evidence,
    Quality,
    estimated_evidence,
    exact_evidence,
    quality_of_chains,
    quality_of_grid,
    quality_of_kl,
    quality_of_particles,
)
from elboroom.explorer.api.requests import LIMITS, MOST_VALUES, Axes, Coordinate, Request, Seed
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.number_array import NumberArray
from elboroom.infer.completion import complete
from elboroom.infer.grid import GridPosterior, grid
from elboroom.infer.hmc import HMCPosterior, hmc
from elboroom.infer.methods import infer
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import ParticlePosterior, sir
from elboroom.model.vae import VAE
from elboroom.randomness import fork, stream

_WARMUP, _CHAIN_DRAWS = 100, 250  # so that chains take seconds
_SURPRISE_DRAWS = 256
_PARTICLES = 500
_SHOWN_DRAWS = 200  # of z, on the plane
_HEAT_SIDE = 72
_HEAT_DEPTH = 12.0  # nats below the maximum that the heat map reaches to
_FLOOR = 30.0  # nats below the maximum at which the heat map is cut


class CompletionRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Values, which of them are seen, and how to infer z from these."""

    x: Annotated[
        list[Coordinate],
        Meta(min_length=1, max_length=MOST_VALUES, description="all values in C order"),
    ]
    seen: Annotated[
        list[Annotated[int, Meta(ge=0, le=1)]],
        Meta(min_length=1, max_length=MOST_VALUES, description="1 where a value is seen"),
    ]
    method: MethodName | None = None
    axes: Axes | None = None
    draws: Annotated[int, Meta(ge=1, le=LIMITS["draws"])] = 8
    seed: Seed = 0


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
        seconds: the time that inference took.
        log_evidence: log p(x_seen); null if nothing estimates it.
        quality: how good the posterior is.
        posterior: on the plane; null without one.
        mean: E[x | x_seen], (*event), seen values as given.
        draws: tones of draws of p(x | x_seen), (S, *event).
        surprise: −log p(x_i | the other seen values) in nats, (*event), NaN where unseen.
    """

    method: MethodName
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
    method = request.method or explored.methods[0]
    _require_method(explored, method)
    model, (x, seen) = explored.model, _row(explored, request)
    noise, clock = stream(request.seed, "completion of the explorer"), time.perf_counter()
    posterior = _infer(method, model, x, seen, fork(noise))
    seconds = time.perf_counter() - clock
    found = _Found.of(explored, posterior, fork(noise))
    filled = complete(model, x, seen, posterior, draws=request.draws, generator=fork(noise))
    return CompletedPicture(
        method=method,
        seconds=seconds,
        log_evidence=found.evidence,
        quality=found.quality,
        posterior=_on_plane(explored, request.axes, posterior, found) if explored.axes else None,
        mean=NumberArray.of(filled.mean[0]),
        draws=explored.tones.drawn(filled.draws[:, 0]),
        surprise=NumberArray.of(_surprise(model, x, seen, posterior)),
    )


def _require_method(explored: ExploredRun, method: MethodName) -> None:
    if method not in explored.methods:
        raise UsageError(
            f"the method {method} is not offered for this model",
            why=f"found {method}; expected one of {', '.join(explored.methods)}",
            fix="choose one of these",
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


def _infer(
    method: MethodName, model: VAE, x: Tensor, seen: Tensor, generator: torch.Generator
) -> Posterior:
    if method == "hmc":
        return hmc(model, x, seen, generator=generator, warmup=_WARMUP, draws=_CHAIN_DRAWS)
    return infer(method, model, x, seen, generator=generator)


@dataclass(frozen=True)
class _Found:
    """The evidence, the quality and the exact form of a posterior."""

    evidence: Evidence | None
    quality: list[Quality]
    exact: GridPosterior | None
    kl: float | None

    @classmethod
    def of(
        cls, explored: ExploredRun, posterior: Posterior, generator: torch.Generator
    ) -> "_Found":
        """Check a posterior by the exact one, where the latents are a plane, or by weights."""
        model, (x, seen) = explored.model, posterior.target.given.data
        if isinstance(posterior, GridPosterior):
            return cls(exact_evidence(posterior), quality_of_grid(posterior), posterior, None)
        exact = grid(model, x, seen, generator=fork(generator)) if explored.in_plane else None
        kl = None if exact is None or posterior.q is None else exact.kl(posterior.q).item()
        if kl is not None and exact is not None:
            return cls(exact_evidence(exact), quality_of_kl(kl), exact, kl)
        if isinstance(posterior, HMCPosterior):
            evidence = None if exact is None else exact_evidence(exact)
            return cls(evidence, quality_of_chains(posterior), exact, None)
        if isinstance(posterior, ParticlePosterior):
            evidence = estimated_evidence(posterior) if exact is None else exact_evidence(exact)
            return cls(evidence, quality_of_particles(posterior, None), exact, None)
        assert isinstance(posterior, VariationalPosterior)  # the methods that are offered
        particles = sir(
            model, x, seen, generator=generator, proposal=posterior, particles=_PARTICLES
        )
        checks = quality_of_particles(particles, posterior)
        return cls(estimated_evidence(particles), checks, None, None)


def _on_plane(
    explored: ExploredRun, axes: str | None, posterior: Posterior, found: _Found
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
    """Compute −log p(x_i | x_seen without i) of each seen value in nats, (*event), NaN elsewhere.

    Gelfand, Dey & Chang, *Model determination using predictive distributions* (1992): the
    conditional predictive ordinate is a harmonic mean over the posterior.
    """
    z = posterior.sample(_SURPRISE_DRAWS)
    log_p = model.decode(z).log_prob_per_value(x, seen)
    # 1/p(x_i | x_others) = E[1/p(x_i | z)] under p(z | x_seen)
    surprise = torch.logsumexp(-log_p, 0) - math.log(_SURPRISE_DRAWS)
    return surprise.masked_fill(~seen, torch.nan)[0]
