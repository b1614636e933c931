"""Modes of posteriors by damped Newton steps, and the Laplace approximation at each."""

import torch
from torch import Tensor

from elboroom.infer.fitting.ascent import Ascent
from elboroom.infer.target import Target
from elboroom.model.linear_algebra import damped_newton_step, inverse_root
from elboroom.model.posteriors import Gaussian

_STEPS = 30
_GAIN = 1e-3  # nats: a step that gains less has reached the mode
_FIRST_DAMPING, _MOST_DAMPING = 0.1, 1e6
_SAME_MODE = 1.0  # standard deviations: closer Gaussians count as one mode
_NEGLIGIBLE = 10.0  # nats of log evidence below the best mode


@torch.no_grad()
def find_modes(target: Target, points: Tensor) -> Ascent:
    """Find the Laplace approximations at the modes near M points of each row, (M, B, D).

    Their ELBO is Laplace's log p(x_seen). It is −∞ for a mode that was already found or that holds
    almost no mass, because further work on it would be wasted.
    """
    count, rows = points.shape[:2]
    many = target.rows(torch.arange(rows, device=points.device).repeat(count))
    z, converged = _ascend_to_mode(many, points.flatten(0, 1))
    q = laplace_at(many, z)
    # log p(x_seen) ≈ log p(x_seen, mode) − log N(mode; mode, Σ)
    log_evidence = many.log_joint(z[None])[0] - q.log_prob(z)
    parts = (q.mean, q.scale, log_evidence, converged)
    mean, scale, log_evidence, converged = (t.unflatten(0, (count, rows)) for t in parts)
    repeated = repeats(Gaussian(mean, scale), log_evidence)
    negligible = log_evidence < log_evidence.amax(0) - _NEGLIGIBLE
    log_evidence = log_evidence.masked_fill(repeated | negligible, -torch.inf)
    return Ascent((mean, scale), log_evidence, converged)


def repeats(q: Gaussian, elbo: Tensor) -> Tensor:
    """Find the Gaussians of each row that lie on a better one of the same row, (M, B), bool."""
    # |A_i⁻¹ (μ_j − μ_i)|, (M, M, B): how far j is from i
    offsets = (q.mean[None] - q.mean[:, None])[..., None]
    distance = torch.linalg.solve(q.scale[:, None], offsets)[..., 0].norm(dim=-1)
    order = torch.arange(len(elbo), device=elbo.device)
    first = (order[:, None] < order)[..., None]  # decides between equally good ones
    better = (elbo[:, None] > elbo[None]) | ((elbo[:, None] == elbo[None]) & first)
    return ((distance < _SAME_MODE) & better).any(0)


def laplace_at(target: Target, z: Tensor) -> Gaussian:
    """Return N(z, precision⁻¹) with the Gauss–Newton precision at z (B, D)."""
    return Gaussian(z, inverse_root(target.curvature(z)[1]))


def _ascend_to_mode(target: Target, z: Tensor) -> tuple[Tensor, Tensor]:
    """Ascend by Levenberg–Marquardt steps from z (B, D) to modes (B, D); True where found, (B,).

    A step that does not raise log p(x_seen, z) is undone, and the damping grows. A row stops once a
    step gains less than 0.001 nats.
    """
    z, value = z.clone(), target.log_joint(z[None])[0]
    damping = torch.full_like(value, _FIRST_DAMPING)
    rows = torch.arange(len(target), device=z.device)
    for _ in range(_STEPS):
        active = target.rows(rows)
        curvature = active.fast().curvature(z[rows])
        moved = z[rows] + damped_newton_step(*curvature, damping[rows])
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
