"""Variational inference of q(z | x_seen) with the decoder frozen, in several families."""

from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from elboroom.errors import UsageError, require_positive
from elboroom.infer.fitting.adam_ascent import LowRank, Mixture
from elboroom.infer.fitting.ascent import Ascent, Parameters, ascend, ascend_from_each, best
from elboroom.infer.fitting.flow import FlowClimber
from elboroom.infer.fitting.modes import find_modes, laplace_at
from elboroom.infer.fitting.natural_gradient import NaturalGaussian
from elboroom.infer.fitting.starting_points import starting_points
from elboroom.infer.laplace import mixture_of_modes
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.posteriors import Density, DiagonalGaussian, Gaussian, gaussian_of
from elboroom.model.vae import VAE
from elboroom.randomness import fork

FamilyName = Literal["diagonal", "full", "low-rank", "mixture", "flow"]
StartName = Literal["laplace", "prior", "encoder"]


@torch.no_grad()
def svi(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    family: FamilyName = "diagonal",
    start: StartName = "laplace",
    starts: int = 2,
    rank: int = 5,
    k: int = 32,
    tolerance: float = 0.01,
    max_steps: int = 1_000,
) -> VariationalPosterior:
    """Fit one density a row to p(z | x_seen), for a whole batch at once.

    The ELBO is raised by reparameterised samples with the path derivative alone ("sticking the
    landing", Roeder et al., 2017), whose noise vanishes as q nears the posterior; for a flow by the
    whole derivative, which needs no inverse. Gaussians climb by natural gradients, which take some
    ten steps; the other families begin at the best full Gaussian and climb by Adam. Each row stops
    by the rule of `elboroom.infer.fitting.ascent.ascend`.

    Args:
        model: its decoder stays as it is.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the starts, the fit, and the draws of the result.
        family: diagonal: N(μ, diag σ²). full: N(μ, Σ). low-rank: N(μ, F Fᵀ + diag σ²). mixture: of
            as many full Gaussians as there are starts. flow: a neural spline flow of each row.
        start: laplace: at the modes near the likeliest of a few thousand draws and the
            encoder's mean. prior: at those points themselves. encoder: at the encoder's q.
        starts: starting points of each row, where it is not the encoder; the fit with the largest
            ELBO is kept. Posteriors of partly seen images have several modes.
        rank: of F.
        k: samples of z an image and step; up to two dimensions Gaussians use a quadrature instead.
        tolerance: the gain in nats, beyond its noise, below which a row stops.
        max_steps: after which a row that has not stopped is given up as not converged.

    Raises:
        UsageError: the mask does not fit, a seen value is not finite, `rank` is more than D, a
            count is not positive, or there is no such family or start.
    """
    require_positive(starts=starts, k=k, max_steps=max_steps)
    _require_name("family", family, get_args(FamilyName))
    _require_name("start", start, get_args(StartName))
    if not 1 <= rank <= model.latents and family == "low-rank":
        raise UsageError(
            f"rank {rank} does not fit {model.latents} latents",
            why="the factor F has between 1 and D columns",
            fix=f"give a rank of 1 to {model.latents}, or another family",
        )
    target = Target.of(model, x, mask)
    found = _starts(target, model.posterior(x, mask), start, starts, generator)
    diagonal = family == "diagonal"
    if diagonal:
        found = replace(found, parameters=_axis_aligned(*found.parameters))
    natural = NaturalGaussian(target.latents, k, x, fork(generator), diagonal=diagonal)
    limits = {"tolerance": tolerance, "max_steps": max_steps}
    found = ascend_from_each(natural, target, found, **limits)
    highest = best(found)
    mean, scale = highest.parameters
    if diagonal:
        q: Density = DiagonalGaussian(mean, scale.diagonal(dim1=-1, dim2=-2).log())
        return VariationalPosterior.of(target, q, generator, converged=highest.converged)
    if family == "full":
        return VariationalPosterior.of(
            target, Gaussian(mean, scale), generator, converged=highest.converged
        )
    climber, parameters = _climber(family, found, rank, k, generator)
    end = ascend(climber, target, parameters, **limits)
    q = climber.q(end.parameters)
    return VariationalPosterior.of(target, q, generator, converged=end.converged)


def _require_name(option: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise UsageError(
            f"{option} {name!r} is unknown",
            why="a fit needs one that is written here",
            fix=f"give {option} one of {', '.join(known)}",
        )


def _starts(
    target: Target, encoded: Density, start: StartName, count: int, generator: torch.Generator
) -> Ascent:
    """Gaussians (M, B, ...) to ascend from."""
    if start == "encoder":
        return _unjudged(*_encoded_gaussian(encoded))
    points = starting_points(target, encoded.mean, count, generator)
    if start == "laplace":
        return find_modes(target, points)
    many = target.rows(torch.arange(len(target), device=points.device).repeat(count))
    scale = laplace_at(many, points.flatten(0, 1)).scale
    return _unjudged(points, scale.unflatten(0, points.shape[:2]))


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


def _unjudged(mean: Tensor, scale: Tensor) -> Ascent:
    nought = torch.zeros_like(mean[..., 0])
    return Ascent((mean, scale), nought, nought.bool())


def _axis_aligned(mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """The best diagonal Gaussian for a Gaussian posterior: its precision's diagonal."""
    # Σ⁻¹ = A⁻ᵀ A⁻¹
    precision = torch.linalg.inv(scale).square().sum(-2)
    return mean, torch.diag_embed(precision.rsqrt())


def _climber(
    family: FamilyName, found: Ascent, rank: int, k: int, generator: torch.Generator
) -> tuple[LowRank | Mixture | FlowClimber, Parameters]:
    """What climbs in `family`, and where from: the full Gaussians (M, B, ...) that were found."""
    q = Gaussian(*best(found).parameters)
    latents = q.mean.shape[-1]
    if family == "mixture":
        mixture = Mixture(latents, k, q.mean, generator)
        return mixture, mixture.start(mixture_of_modes(found))
    if family == "low-rank":
        low_rank = LowRank(latents, rank, k, q.mean, generator)
        return low_rank, low_rank.start(q)
    flow = FlowClimber(latents, k, q.mean, generator)
    return flow, flow.start(q, generator)
