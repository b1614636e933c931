"""Variational inference of q(z | x_seen) in several families, with the decoder frozen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from elboroom.errors import UsageError, require_positive
from elboroom.infer.fitting.adam_ascent import AdamAscent, LowRankAscent, MixtureAscent
from elboroom.infer.fitting.ascent import (
    SAMPLES,
    TOLERANCE,
    Ascent,
    Parameters,
    ascend,
    ascend_from_each,
    best,
)
from elboroom.infer.fitting.flow import FlowAscent
from elboroom.infer.fitting.modes import find_modes, laplace_at
from elboroom.infer.fitting.natural_gradient import NaturalGradientAscent
from elboroom.infer.fitting.starting_points import guesses, starting_points
from elboroom.infer.laplace import mixture_of_modes
from elboroom.infer.observed import Array
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.posteriors import Density, DiagonalGaussian, Gaussian, gaussian_of
from elboroom.model.vae import VAE
from elboroom.randomness import fork

FamilyName = Literal["diagonal", "full", "low-rank", "mixture", "flow"]
StartName = Literal["laplace", "prior", "encoder"]


@checked
@torch.no_grad()
def svi(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    family: FamilyName = "diagonal",
    start: StartName = "laplace",
    starts: int = 2,
    rank: int = 5,
    k: int = SAMPLES,
    tolerance: float = TOLERANCE,
    max_steps: int = 1_000,
) -> VariationalPosterior:
    """Fit one density per row to p(z | x_seen), for a whole batch at once.

    Gradients of the ELBO are path derivatives of reparameterised samples ("sticking the landing",
    Roeder et al., 2017), whose noise vanishes as q approaches the posterior. A flow uses the whole
    derivative, which needs no inverse. Gaussians ascend by natural gradients, in about ten steps.
    The other families start at the best full Gaussian and ascend by Adam. Each row stops by the
    rule of `elboroom.infer.fitting.ascent.ascend`.

    Args:
        model: the model, whose decoder stays unchanged.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the starting points, the fit and the result's draws.
        family: diagonal: N(μ, diag σ²). full: N(μ, Σ). low-rank: N(μ, F Fᵀ + diag σ²). mixture: as
            many full Gaussians as there are starts. flow: a neural spline flow of each row.
        start: laplace: the modes near the likeliest of some thousand draws and the encoder's mean.
            prior: those points themselves. encoder: the encoder's q. A partial encoder, where the
            model has one, takes the encoder's place.
        starts: number of starting points of each row, unless the start is the encoder; the fit with
            the largest ELBO is kept. Posteriors of partly seen images have several modes.
        rank: the number of columns of F.
        k: samples of z per image and step; Gaussians use a quadrature instead if D ≤ 2.
        tolerance: a row stops once its gain in nats, plus its noise, is below this.
        max_steps: limit on the steps of a row; a row that reaches it has not converged.

    Raises:
        UsageError: if data or mask do not fit the model, `rank` exceeds D, a count
            is not positive, or the family or the start is unknown.
    """
    require_positive(starts=starts, k=k, max_steps=max_steps)
    if not 1 <= rank <= model.latents and family == "low-rank":
        raise UsageError(
            f"rank {rank} does not fit {model.latents} latents",
            why="the factor F has between 1 and D columns",
            fix=f"give a rank from 1 to {model.latents}, or choose another family",
        )
    target = Target.of(model, x, mask)
    target.require_room(starts, k, starts=starts, k=k)
    found = _starts(model, target, start, starts, generator)
    diagonal = family == "diagonal"
    if diagonal:
        found = replace(found, parameters=_axis_aligned(*found.parameters))
    natural = NaturalGradientAscent(target.latents, k, target.x, fork(generator), diagonal=diagonal)
    limits = {"tolerance": tolerance, "max_steps": max_steps}
    found = ascend_from_each(natural, target, found, **limits)
    highest = best(found)
    q, converged = _gaussian(*highest.parameters, diagonal=diagonal), highest.converged
    if family in _ADAM:
        method, parameters = _ADAM[family](found, rank, k, generator)
        end = ascend(method, target, parameters, **limits)
        q, converged = method.q(end.parameters), end.converged
    return VariationalPosterior.of(target, q, generator, converged=converged)


def _starts(
    model: VAE, target: Target, start: StartName, count: int, generator: torch.Generator
) -> Ascent:
    """Return the Gaussians (M, B, ...) to ascend from."""
    if start == "encoder":
        return _unscored(*_encoded_gaussian(model.amortised_posterior(*target.given.data)))
    points = starting_points(target, guesses(model, target, generator), count, generator)
    if start == "laplace":
        return find_modes(target, points)
    many = target.rows(torch.arange(len(target), device=points.device).repeat(count))
    scale = laplace_at(many, points.flatten(0, 1)).scale
    return _unscored(points, scale.unflatten(0, points.shape[:2]))


def _encoded_gaussian(q: Density) -> tuple[Tensor, Tensor]:
    """Return the mean (1, B, D) and a root of the covariance (1, B, D, D) of the encoder's q."""
    gaussian = gaussian_of(q)
    if gaussian is None:
        raise UsageError(
            f"the fit cannot start at a {type(q).__name__}",
            why="its covariance is not known",
            fix="use start='laplace', or implement the density's `covariance`",
        )
    return gaussian.location[None], gaussian.scale[None]


def _unscored(mean: Tensor, scale: Tensor) -> Ascent:
    zero = torch.zeros_like(mean[..., 0])
    return Ascent((mean, scale), zero, zero.bool())


def _axis_aligned(mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best diagonal Gaussian for a Gaussian posterior: with its precision's diagonal."""
    # Σ⁻¹ = A⁻ᵀ A⁻¹
    precision = torch.linalg.inv(scale).square().sum(-2)
    return mean, torch.diag_embed(precision.rsqrt())


def _gaussian(mean: Tensor, scale: Tensor, *, diagonal: bool) -> Density:
    if diagonal:
        return DiagonalGaussian(mean, scale.diagonal(dim1=-1, dim2=-2).log())
    return Gaussian(mean, scale)


_Start = tuple[AdamAscent, Parameters]
"""The ascent of a family, and the parameters that it starts from."""


def _low_rank(found: Ascent, rank: int, k: int, generator: torch.Generator) -> _Start:
    q = Gaussian(*best(found).parameters)
    method = LowRankAscent(q.mean.shape[-1], rank, k, q.mean, generator)
    return method, method.start(q)


def _mixture(found: Ascent, rank: int, k: int, generator: torch.Generator) -> _Start:
    q = mixture_of_modes(found)
    like = best(found).parameters[0]
    method = MixtureAscent(like.shape[-1], k, like, generator)
    return method, method.start(q)


def _flow(found: Ascent, rank: int, k: int, generator: torch.Generator) -> _Start:
    q = Gaussian(*best(found).parameters)
    method = FlowAscent(q.mean.shape[-1], k, q.mean, generator)
    return method, method.start(q, generator)


_ADAM: dict[FamilyName, Callable[[Ascent, int, int, torch.Generator], _Start]] = {
    "low-rank": _low_rank,
    "mixture": _mixture,
    "flow": _flow,
}
"""Families without a natural gradient: the best full Gaussians (M, B, ...) → ascent and start."""
