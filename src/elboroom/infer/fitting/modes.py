"""Modes of posteriors by damped Newton steps, and the Laplace approximation at each."""

from collections.abc import Callable

import torch
from torch import Tensor

from elboroom.infer.fitting.ascent import Ascent
from elboroom.infer.fitting.curvature import Curvature
from elboroom.infer.fitting.subspace import informed_gaussian, newton_step
from elboroom.infer.target import Target
from elboroom.model.linear_algebra import damped_newton_step, inverse_root
from elboroom.model.posteriors import AffineGaussian, Gaussian, SubspaceGaussian
from elboroom.randomness import fork

_STEPS = 30
_GAIN = 1e-3  # nats: a step that gains less has reached the mode
_FIRST_DAMPING, _MOST_DAMPING = 0.1, 1e6
_SAME_MODE = 1.0  # standard deviations: closer Gaussians count as one mode
_NEGLIGIBLE = 10.0  # nats of log evidence below the best mode


_Step = Callable[[Target, Tensor, Tensor], Tensor]
"""A step from z (B, D) towards a mode, with the damping (B,) of each row."""


@torch.no_grad()
def find_modes(target: Target, points: Tensor, generator: torch.Generator) -> Ascent:
    """Find the Laplace approximations at the modes near M points of each row, (M, B, D).

    Their ELBO is Laplace's log p(x_seen). It is −∞ for a mode that was already found or that holds
    almost no mass, because further work on it would be wasted. The Gaussians are full, or beyond
    300 latents of low rank; `generator` draws the vectors that these are found by.
    """
    count, rows = points.shape[:2]
    many = target.rows(torch.arange(rows, device=points.device).repeat(count))
    if target.is_large:
        q, converged = _mode_of_low_rank(many, points.flatten(0, 1), generator)
    else:
        z, converged = _ascend_to_mode(many, points.flatten(0, 1), _dense_step)
        q = laplace_at(many, z)
    # log p(x_seen) ≈ log p(x_seen, mode) − log N(mode; mode, Σ)
    log_evidence = many.log_joint(q.mean[None])[0] - q.log_prob(q.mean)
    parts = (log_evidence, converged, *q.parameters)
    log_evidence, converged, *parameters = (t.unflatten(0, (count, rows)) for t in parts)
    repeated = repeats(type(q)(*parameters), log_evidence)
    negligible = log_evidence < log_evidence.amax(0) - _NEGLIGIBLE
    log_evidence = log_evidence.masked_fill(repeated | negligible, -torch.inf)
    return Ascent(tuple(parameters), log_evidence, converged, type(q))


def repeats(q: AffineGaussian, elbo: Tensor) -> Tensor:
    """Find the Gaussians of each row that lie on a better one of the same row, (M, B), bool."""
    # |A_i⁻¹ (μ_j − μ_i)|, (M, M, B): how far j is from i
    distance = torch.stack([q.standardised(mean).norm(dim=-1) for mean in q.mean], 1)
    order = torch.arange(len(elbo), device=elbo.device)
    first = (order[:, None] < order)[..., None]  # decides between equally good ones
    better = (elbo[:, None] > elbo[None]) | ((elbo[:, None] == elbo[None]) & first)
    return ((distance < _SAME_MODE) & better).any(0)


def laplace_at(target: Target, z: Tensor) -> Gaussian:
    """Return N(z, precision⁻¹) with the Gauss–Newton precision at z (B, D)."""
    return Gaussian(z, inverse_root(target.curvature(z)[1]))


def laplace_at_each(target: Target, z: Tensor, generator: torch.Generator) -> AffineGaussian:
    """Return the same at S points of each row, (S, B, D), beyond 300 latents of low rank."""
    count, rows = z.shape[:2]
    many, flat = target.rows(torch.arange(rows, device=z.device).repeat(count)), z.flatten(0, 1)
    if target.is_large:
        q: AffineGaussian = low_rank_laplace_at(many, flat, fork(generator))
    else:
        q = laplace_at(many, flat)
    return type(q)(*(one.unflatten(0, (count, rows)) for one in q.parameters))


def low_rank_laplace_at(target: Target, z: Tensor, generator: torch.Generator) -> SubspaceGaussian:
    """Return the same in the directions that the seen pixels or the prior inform."""
    return informed_gaussian(Curvature(target, z[None]), z, generator)


def _mode_of_low_rank(
    target: Target, z: Tensor, generator: torch.Generator
) -> tuple[SubspaceGaussian, Tensor]:
    """Find the modes near z (B, D), and their Gaussians of low rank; True where found, (B,).

    A last Newton step uses the covariance, which then is at hand.
    """
    z, converged = _ascend_to_mode(target, z, _matrix_free_step)
    q = low_rank_laplace_at(target, z, fork(generator))
    # μ ← μ + Σ ∇ log p(x, μ),  Σ = A Aᵀ
    moved = q.at(q.pulled(target.gradient(z[None])[0]))
    value, former = target.log_joint(torch.stack([moved, z]))
    mean = torch.where((value > former)[:, None], moved, z)
    return SubspaceGaussian(mean, *q.parameters[1:]), converged


def _dense_step(target: Target, z: Tensor, damping: Tensor) -> Tensor:
    return damped_newton_step(*target.curvature(z), damping)


def _matrix_free_step(target: Target, z: Tensor, damping: Tensor) -> Tensor:
    return newton_step(Curvature(target, z[None]), target.gradient(z[None])[0], damping)


def _ascend_to_mode(target: Target, z: Tensor, step: _Step) -> tuple[Tensor, Tensor]:
    """Ascend by Levenberg–Marquardt steps from z (B, D) to modes (B, D); True where found, (B,).

    A step that does not raise log p(x_seen, z) is undone, and the damping grows. A row stops once a
    step gains less than 0.001 nats.
    """
    z, value = z.clone(), target.log_joint(z[None])[0]
    damping = torch.full_like(value, _FIRST_DAMPING)
    rows = torch.arange(len(target), device=z.device)
    for _ in range(_STEPS):
        active = target.rows(rows)
        moved = z[rows] + step(active.fast(), z[rows], damping[rows])
        found = active.log_joint(moved[None])[0]
        gain = found - value[rows]
        better = gain > 0
        z[rows[better]], value[rows[better]] = moved[better], found[better]
        damping[rows] *= torch.where(better, 0.2, 5.0)
        rows = rows[(gain.abs() >= _GAIN) & (damping[rows] < _MOST_DAMPING)]
        if not len(rows):
            break
    converged = torch.ones(len(target), dtype=torch.bool, device=z.device)
    converged[rows] = False
    return z, converged
