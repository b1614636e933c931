"""The exact posterior of a one- or two-dimensional latent space, on a grid."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.errors import ElboroomError, UsageError
from elboroom.infer.seen import as_rows, on_seen_pixels
from elboroom.model import VAE

_POINTS = (101, 201, 401, 801, 1601)  # along an axis; each grid holds the one before it
_EDGE_MASS = 1e-3
_CHUNK = 1 << 15


class GridError(ElboroomError):
    """A posterior that the finest grid does not resolve."""


@dataclass(frozen=True)
class GridPosterior:
    """p(z | x_seen) on a grid of G = n^D points, exact up to the error of the trapezoidal rule.

    Attributes:
        axis: (n,), the coordinates along every latent dimension.
        points: (G, D), the grid, its last dimension running fastest.
        log_joint: (G, B), log p(x_seen, z) in nats.
        log_evidence: (B,), log p(x_seen) in nats.
        error: (B,), the change of `log_evidence` when the grid was last refined, in nats.
        generator: feeds `sample`.
    """

    axis: Tensor
    points: Tensor
    log_joint: Tensor
    log_evidence: Tensor
    error: Tensor
    generator: torch.Generator

    @property
    def log_density(self) -> Tensor:
        """log p(z | x_seen) in nats at the grid's points, (G, B)."""
        return self.log_joint - self.log_evidence

    @property
    def probabilities(self) -> Tensor:
        """The posterior's mass at the grid's points, (G, B); columns sum to one."""
        return torch.softmax(self.log_joint.double(), 0)

    @property
    def mean(self) -> Tensor:
        """E[z | x_seen], (B, D)."""
        return (self.probabilities.T @ self.points.double()).to(self.points.dtype)

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """What the grid knows of its own quality."""
        return {"log_evidence_error": self.error}

    def sample(self, k: int) -> Tensor:
        """Draw k times, uniform within a grid cell, (k, B, D)."""
        cells = torch.multinomial(self.probabilities.T, k, True, generator=self.generator).T
        shape = (*cells.shape, self.points.shape[-1])
        within = torch.rand(
            shape, generator=self.generator, dtype=self.points.dtype, device=self.points.device
        )
        within -= 0.5
        return self.points[cells] + within * (self.axis[1] - self.axis[0])


@torch.no_grad()
def grid(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    tolerance: float = 1e-3,
    half_width: float = 8.0,
) -> GridPosterior:
    """Integrate log p(x_seen, z) over z on a grid that is refined until log p(x_seen) stands still.

    Args:
        model: with D ≤ 2 latent dimensions.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the draws of the result; the integration itself is deterministic.
        tolerance: largest change of log p(x_seen), in nats, at which refinement stops.
        half_width: the grid spans ± this many prior standard deviations.

    Raises:
        UsageError: D > 2.
        GridError: a posterior reaches beyond the grid, or the finest one does not resolve it.
    """
    if model.latents > 2:
        raise UsageError(
            f"a grid over {model.latents} latent dimensions is out of reach",
            why="its points grow as n^D",
            fix="use infer.svi, or a model with one or two latents",
        )
    x, mask = as_rows(x, mask)
    exact = _integrate(model, x, mask, _POINTS[0], half_width, generator)
    error = math.inf
    for n in _POINTS[1:]:
        finer = _integrate(model, x, mask, n, half_width, generator)
        exact = replace(finer, error=(finer.log_evidence - exact.log_evidence).abs())
        error = exact.error.max().item()
        if error <= tolerance:
            break
    _require_inside(exact, half_width)
    if error <= tolerance:
        return exact
    raise GridError(
        f"the grid of {_POINTS[-1]} points an axis does not resolve these posteriors",
        why=f"the last refinement moved log p(x_seen) by {error:.2g} nats, "
        f"more than the tolerance of {tolerance:g}",
        fix="raise the tolerance, or lower half_width if the posteriors lie near the origin",
    )


def _integrate(
    model: VAE,
    x: Tensor,
    mask: Tensor | None,
    n: int,
    half_width: float,
    generator: torch.Generator,
) -> GridPosterior:
    """The posterior on n points an axis, its error yet unknown."""
    axis = torch.linspace(-half_width, half_width, n, dtype=x.dtype, device=x.device)
    points = torch.cartesian_prod(*[axis] * model.latents).view(-1, model.latents)
    log_joint = log_joint_table(model, x, mask, points)
    # log p(x) = log ∫ p(x, z) dz ≈ log Σ_g p(x, z_g) + D log Δ
    log_cell = model.latents * math.log(2 * half_width / (n - 1))
    log_evidence = torch.logsumexp(log_joint.double(), 0) + log_cell
    unknown = torch.full_like(log_evidence, math.inf)
    return GridPosterior(axis, points, log_joint, log_evidence, unknown, generator)


def _require_inside(exact: GridPosterior, half_width: float) -> None:
    at_edge = (exact.points.abs() >= half_width).any(-1)
    mass = exact.probabilities[at_edge].sum(0).max().item()
    if mass > _EDGE_MASS:
        raise GridError(
            "a posterior reaches beyond the grid",
            why=f"{mass:.2g} of its mass lies on the edge at ± {half_width:g}",
            fix=f"use half_width={1.5 * half_width:g}",
        )


def log_joint_table(model: VAE, x: Tensor, mask: Tensor | None, points: Tensor) -> Tensor:
    """log p(x_seen, z) in nats of B events at G points z (G, D), decoded once for all: (G, B)."""
    model, x, mask = on_seen_pixels(model, x, mask)
    rows = [
        model.prior(1).log_prob(z[:, None]) + model.decode(z).log_prob_table(x, mask)
        for z in points.split(_CHUNK)
    ]
    return torch.cat(rows)
