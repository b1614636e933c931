"""Inference for a request: the posterior by the method that is asked for, and its quality."""

import time
from dataclasses import dataclass

from torch import Generator, Tensor

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
from elboroom.explorer.api.requests import Request, Seed
from elboroom.explorer.explored_run import ExploredRun
from elboroom.infer.grid import GridPosterior, grid
from elboroom.infer.hmc import HMCPosterior, hmc
from elboroom.infer.laplace import laplace
from elboroom.infer.methods import infer
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import ParticlePosterior, sir
from elboroom.randomness import fork

_WARMUP, _CHAIN_DRAWS = 100, 250  # so that chains take seconds
_PARTICLES = 500


class InferenceRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The method of inference, by default the usual one of the model, and the seed of its draws."""

    method: MethodName | None = None
    seed: Seed = 0


@dataclass(frozen=True)
class Inference:
    """The posterior of one row, and the time that it took.

    Attributes:
        method: the method of inference.
        posterior: p(z | x_seen), as the method knows it.
        seconds: the time that inference took.
    """

    method: MethodName
    posterior: Posterior
    seconds: float

    @classmethod
    def of(
        cls,
        explored: ExploredRun,
        request: InferenceRequest,
        x: Tensor,
        seen: Tensor,
        generator: Generator,
        *,
        refine: bool = True,
    ) -> "Inference":
        """Infer z from the seen values of x, both (1, *event); False stops `laplace` at the mode.

        Raises:
            UsageError: if the method is not offered for this model, it has nothing to refine, or a
                value does not fit the model.
        """
        method = request.method or explored.methods[0]
        _require_method(explored, method, refine=refine)
        clock = time.perf_counter()
        posterior = infer_rows(explored, method, x, seen, generator, refine=refine)
        return cls(method, posterior, time.perf_counter() - clock)


def infer_rows(
    explored: ExploredRun,
    method: MethodName,
    x: Tensor,
    seen: Tensor,
    generator: Generator,
    *,
    refine: bool = True,
) -> Posterior:
    """Infer z of some rows, x and seen (B, *event), with chains that take seconds."""
    model = explored.model
    if method == "grid":
        return grid(model, x, seen, generator=generator, kept=explored.kept_tiles)
    if method == "laplace":
        kept = explored.kept_draws
        return laplace(model, x, seen, generator=generator, refine=refine, kept=kept)
    if method == "hmc":
        return hmc(model, x, seen, generator=generator, warmup=_WARMUP, draws=_CHAIN_DRAWS)
    return infer(method, model, x, seen, generator=generator)


def _require_method(explored: ExploredRun, method: MethodName, *, refine: bool) -> None:
    if method not in explored.methods:
        raise UsageError(
            f"the method {method} is not offered for this model",
            why=f"found {method}; expected one of {', '.join(explored.methods)}",
            fix="choose one of these",
        )
    if not refine and method != "laplace":
        raise UsageError(
            f"the method {method} has no step that refines its posterior",
            why=f"found refine=false with {method}; only laplace may stop at the mode",
            fix="leave refine out",
        )


@dataclass(frozen=True)
class Found:
    """The evidence, the quality and the exact form of a posterior.

    Attributes:
        evidence: log p(x_seen); None if nothing estimates it.
        quality: the checks that the method allows.
        exact: the exact posterior, where the latents are a plane.
        kl: KL(q ‖ p(z | x_seen)) of a fit in nats; None if it is not known exactly.
    """

    evidence: Evidence | None
    quality: list[Quality]
    exact: GridPosterior | None
    kl: float | None

    @classmethod
    def of(cls, explored: ExploredRun, posterior: Posterior, generator: Generator) -> "Found":
        """Check a posterior by the exact one, where the latents are a plane, or by weights."""
        model, (x, seen) = explored.model, posterior.target.given.data
        if isinstance(posterior, GridPosterior):
            return cls(exact_evidence(posterior), quality_of_grid(posterior), posterior, None)
        exact = None
        if explored.in_plane:
            exact = grid(model, x, seen, generator=fork(generator), kept=explored.kept_tiles)
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
