"""Variational inference of q(z | x_seen) in several families, with the decoder frozen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch

from elboroom.errors import UsageError, require_positive
from elboroom.infer.dimension import require_matrices, too_many_latents
from elboroom.infer.fitting.adam_ascent import AdamAscent, LowRankAscent, MixtureAscent
from elboroom.infer.fitting.ascent import (
    SAMPLES,
    TOLERANCE,
    Ascent,
    AscentMethod,
    Parameters,
    ascend,
    ascend_from_each,
    best,
)
from elboroom.infer.fitting.flow import FlowAscent
from elboroom.infer.fitting.modes import find_modes, laplace_at_each
from elboroom.infer.fitting.natural_gradient import NaturalGradientAscent
from elboroom.infer.fitting.prior_draws import PriorDraws
from elboroom.infer.fitting.starting_points import guesses, starting_points
from elboroom.infer.fitting.structured_ascent import DiagonalAscent
from elboroom.infer.laplace import mixture_of_modes, require_room_for_matrices
from elboroom.infer.observed import Array
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.posteriors import (
    MOST_DENSE,
    AffineGaussian,
    Density,
    DiagonalGaussian,
    Gaussian,
    SubspaceGaussian,
    gaussian_of,
)
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
            many full Gaussians as there are starts. flow: a neural spline flow of each row. Beyond
            300 latents under N(0, I), or the prior of a ladder: diagonal alone.
        start: laplace: the modes near the likeliest of some thousand draws and the encoder's mean.
            prior: those points themselves. encoder: the encoder's q, of a ladder its deviations
            along the means of the levels. A partial encoder, where the model has one, takes the
            encoder's place.
        starts: number of starting points of each row, unless the start is the encoder; the fit with
            the largest ELBO is kept. Posteriors of partly seen images have several modes.
        rank: the number of columns of F.
        k: samples of z per image and step. Full and diagonal Gaussians of up to 300 latents take
            whole sets of 2 D orthogonal ones, at least as many as k; if D ≤ 2, a quadrature.
        tolerance: a row stops once its gain in nats, plus its noise, is below this.
        max_steps: limit on the steps of a row; a row that reaches it has not converged.

    Raises:
        UsageError: if data or mask do not fit the model, `rank` exceeds D, a count is not positive,
            the family or the start is unknown, or the family does not suit so many latents: beyond
            300 only "diagonal" does.

    Example:
        >>> fit = infer.svi(model, x, mask, generator=generator, family="full")
        >>> fit.mean.shape, fit.covariance.shape, fit.converged
        (torch.Size([3, 2]), torch.Size([3, 2, 2]), tensor([True, True, True]))
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> exact.kl(fit.q) < 0.5  # KL(q ‖ p(z | x_seen)), in nats
        tensor([True, True, True])
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
    require_room_for_matrices(target, starts)
    _require_family(target, family)
    found = _starts(model, target, start, starts, generator)
    diagonal = family == "diagonal"
    if diagonal:
        found = _axis_aligned(found)
    natural = _natural(target, k, fork(generator), diagonal=diagonal)
    limits = {"tolerance": tolerance, "max_steps": max_steps}
    found = ascend_from_each(natural, target, found, **limits)
    highest = best(found)
    q, converged = _without_matrix(highest.q) if diagonal else highest.q, highest.converged
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
        return _encoded(target, model.amortised_posterior(*target.given.data))
    encoded = guesses(model, target, generator)
    points = starting_points(target, encoded, PriorDraws.scattered(target, generator), count)
    if start == "laplace":
        return find_modes(target, points, generator)
    return _unscored(laplace_at_each(target, points, generator))


def _encoded(target: Target, q: Density) -> Ascent:
    """Return the encoder's q as a start, (1, B, ...)."""
    gaussian = gaussian_of(q) or q.independent
    if gaussian is None:
        raise UsageError(
            f"the fit cannot start at a {type(q).__name__}",
            why="its covariance is not known",
            fix="use start='laplace', or implement the density's `covariance` or `independent`",
        )
    if isinstance(gaussian, DiagonalGaussian) and not target.is_large:
        gaussian = Gaussian(gaussian.mean, torch.diag_embed(gaussian.log_std.exp()))
    return _unscored(type(gaussian)(*(one[None] for one in gaussian.parameters)))


def _unscored(q: AffineGaussian) -> Ascent:
    zero = torch.zeros_like(q.mean[..., 0])
    return Ascent(q.parameters, zero, zero.bool(), type(q))


def _natural(target: Target, k: int, generator: torch.Generator, *, diagonal: bool) -> AscentMethod:
    if diagonal and target.is_large:
        return DiagonalAscent(target.latents, k, target.x, generator)
    return NaturalGradientAscent(target.latents, k, target.x, generator, diagonal=diagonal)


def _axis_aligned(found: Ascent) -> Ascent:
    """Return the best diagonal Gaussian for a Gaussian posterior: with its precision's diagonal."""
    q = found.q
    if isinstance(q, Gaussian):
        # Σ⁻¹ = A⁻ᵀ A⁻¹
        precision = torch.linalg.inv(q.scale).square().sum(-2)
        return replace(found, parameters=(q.mean, torch.diag_embed(precision.rsqrt())))
    if isinstance(q, SubspaceGaussian):
        q = DiagonalGaussian(q.mean, -0.5 * q.precisions.log())
    return replace(found, parameters=q.parameters, family=DiagonalGaussian)


def _without_matrix(q: AffineGaussian) -> AffineGaussian:
    if not isinstance(q, Gaussian):
        return q
    return DiagonalGaussian(q.mean, q.scale.diagonal(dim1=-1, dim2=-2).log())


def _require_family(target: Target, family: FamilyName) -> None:
    """Check that a family can be fitted to so many latents.

    Raises:
        UsageError: it is richer than a diagonal Gaussian, and D exceeds 300.
    """
    if family == "diagonal":
        return
    name = f"family={family!r}"
    holds = f"fit matrices of {target.latents:,} × {target.latents:,} to each row"
    fix = "take infer.laplace, whose Gaussian is full in the directions that the seen pixels inform"
    if family == "flow" and target.latents > MOST_DENSE:
        raise too_many_latents(target.latents, name, holds=holds, fix=fix)
    require_matrices(target, name, holds=holds, fix=fix + _OTHERWISE.get(family, ""))


_OTHERWISE: dict[FamilyName, str] = {"mixture": "; with mixture=True it has several modes"}


_Start = tuple[AdamAscent, Parameters]
"""The ascent of a family, and the parameters that it starts from."""


def _full(found: Ascent) -> Gaussian:
    return Gaussian(*best(found).parameters)


def _low_rank(found: Ascent, rank: int, k: int, generator: torch.Generator) -> _Start:
    q = _full(found)
    method = LowRankAscent(q.mean.shape[-1], rank, k, q.mean, generator)
    return method, method.start(q)


def _mixture(found: Ascent, rank: int, k: int, generator: torch.Generator) -> _Start:
    q = mixture_of_modes(found)
    like = best(found).parameters[0]
    method = MixtureAscent(like.shape[-1], k, like, generator)
    return method, method.start(q)


def _flow(found: Ascent, rank: int, k: int, generator: torch.Generator) -> _Start:
    q = _full(found)
    method = FlowAscent(q.mean.shape[-1], k, q.mean, generator)
    return method, method.start(q, generator)


_ADAM: dict[FamilyName, Callable[[Ascent, int, int, torch.Generator], _Start]] = {
    "low-rank": _low_rank,
    "mixture": _mixture,
    "flow": _flow,
}
"""Families without a natural gradient: the best full Gaussians (M, B, ...) → ascent and start."""
