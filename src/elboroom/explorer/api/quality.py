"""The quality of a posterior, by the checks that its method allows."""

import math

import msgspec

from elboroom.infer.diagnostics import MIXED_RHAT, RELIABLE_K_HAT
from elboroom.infer.grid import GridPosterior
from elboroom.infer.hmc import HMCPosterior
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.sir import ParticlePosterior

_SMALL_KL = 0.1  # nats: draws of q and of the posterior are then hard to tell apart
_SMALL_ERROR = 0.01  # nats


class Evidence(msgspec.Struct, frozen=True):
    """log p(x_seen) in nats.

    Attributes:
        value: the value, or an estimate that is below it on average.
        standard_error: of the estimate; null if it is not known, as of a heavy tail.
        exact: true if there is no Monte-Carlo error.
    """

    value: float
    standard_error: float | None
    exact: bool


class Quality(msgspec.Struct, frozen=True):
    """A check of a posterior.

    Attributes:
        name: what is measured.
        value: the measured value; null if it is not finite.
        unit: its unit; empty for a pure number.
        good: whether it says that the posterior can be relied on; null if it does not tell.
        meaning: what it says, in a sentence.
    """

    name: str
    value: float | None
    unit: str
    good: bool | None
    meaning: str


def exact_evidence(posterior: GridPosterior) -> Evidence:
    """Return log p(x_seen) of the one row of a grid."""
    return Evidence(posterior.log_evidence.item(), None, True)


def estimated_evidence(particles: ParticlePosterior) -> Evidence:
    """Return log p(x_seen) of the one row of some particles."""
    error = particles.log_evidence_standard_error.item()
    return Evidence(
        particles.log_evidence.item(), error if math.isfinite(error) else None, exact=False
    )


def quality_of_grid(posterior: GridPosterior) -> list[Quality]:
    """Return the error of a grid."""
    error = posterior.error.item()
    meaning = "the last change of log p(seen) as the grid was refined; the posterior is exact"
    return [_check("error of the grid", error, "nats", error < _SMALL_ERROR, meaning)]


def quality_of_kl(kl: float) -> list[Quality]:
    """Return the distance of a fit from the exact posterior."""
    meaning = "the distance of the fit from the exact posterior; 0 if they are the same"
    return [_check("KL(q ‖ p)", kl, "nats", kl < _SMALL_KL, meaning)]


def quality_of_particles(
    particles: ParticlePosterior, fit: VariationalPosterior | None
) -> list[Quality]:
    """Return the shape of the weights' tail, and how far the ELBO of a fit is below the bound."""
    diagnostics = particles.diagnostics
    k_hat, ess = diagnostics["pareto_k"].item(), diagnostics["ess"].item()
    tail = f"the shape of the weights' tail; below {RELIABLE_K_HAT:g} the estimates are reliable"
    checks = [_check("k̂", k_hat, "", k_hat < RELIABLE_K_HAT, tail)]
    if fit is None:
        count = f"of {len(particles.z):,} weighted draws, as many as count"
        return [*checks, _check("effective sample size", ess, "draws", None, count)]
    gap = (particles.log_evidence - fit.elbo).item()
    below = "an estimate of KL(q ‖ p), the distance of the fit from the posterior"
    return [_check("log p(seen) − ELBO", gap, "nats", None, below), *checks]


def quality_of_chains(posterior: HMCPosterior) -> list[Quality]:
    """Return how well the chains of a row have mixed."""
    rhat, ess = posterior.rhat.item(), posterior.ess.item()
    agree = f"how far the chains disagree; below {MIXED_RHAT:g} they have mixed"
    independent = "as many independent draws know as much"
    return [
        _check("R̂", rhat, "", rhat < MIXED_RHAT, agree),
        _check("effective sample size", ess, "draws", bool(posterior.converged), independent),
    ]


def _check(name: str, value: float, unit: str, good: bool | None, meaning: str) -> Quality:
    return Quality(name, value if math.isfinite(value) else None, unit, good, meaning)
