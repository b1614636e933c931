"""The Laplace approximation, refined to the best Gaussian."""

import torch

from elboroom.errors import require_positive
from elboroom.infer.fitting.ascent import (
    SAMPLES,
    TOLERANCE,
    Ascent,
    AscentMethod,
    ascend_from_each,
    best,
)
from elboroom.infer.fitting.modes import find_modes, repeats
from elboroom.infer.fitting.natural_gradient import NaturalGradientAscent
from elboroom.infer.fitting.prior_draws import KeptDraws, PriorDraws
from elboroom.infer.fitting.starting_points import guesses, starting_points
from elboroom.infer.fitting.structured_ascent import SubspaceAscent
from elboroom.infer.observed import Array
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.posteriors import GaussianMixture
from elboroom.model.vae import VAE


@checked
@torch.no_grad()
def laplace(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    starts: int = 2,
    mixture: bool = False,
    refine: bool = True,
    k: int = SAMPLES,
    tolerance: float = TOLERANCE,
    max_steps: int = 120,
    kept: KeptDraws | None = None,
) -> VariationalPosterior:
    """Fit a Gaussian at the mode of each row's posterior, and refine it to the best full one.

    Damped Newton steps with the Gauss–Newton precision find the modes nearest to a few starting
    points. Natural gradients then raise the ELBO from N(mode, precision⁻¹). The mode takes tens of
    decodings and the optimum hundreds; stochastic gradients would take thousands.

    Beyond 300 latents no matrix of D × D is made, if the prior is N(0, I) or that of a ladder.
    Conjugate gradients solve for the Newton steps, and a randomised eigendecomposition finds the R
    directions that the seen pixels inform (`elboroom.infer.fitting.subspace`), beside those of a
    ladder's top whose prior is another. The Gaussian is a `SubspaceGaussian`: full
    within these directions, and the prior's beside them.

    Args:
        model: the model, whose decoder stays unchanged.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the starting points, the refinement and the result's draws.
        starts: number of starting points of each row; the fit with the largest ELBO is kept.
        mixture: keep all fits that lie apart instead, with masses in proportion to exp(ELBO).
        refine: False stops at the Laplace approximation.
        k: samples of z per image and step, if D > 2.
        tolerance: a row stops once its gain in nats, plus its noise, is below this.
        max_steps: limit on the steps of a row; a row that reaches it has not converged.
        kept: draws that `model` has decoded before, among which to look for starting points.

    Raises:
        UsageError: if data or mask do not fit the model, a count is not positive, or `kept` is of
            another model.

    Example:
        >>> fit = infer.laplace(model, x, mask, generator=generator)
        >>> fit.mean.shape, fit.covariance.shape, fit.converged
        (torch.Size([3, 2]), torch.Size([3, 2, 2]), tensor([True, True, True]))
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> exact.kl(fit.q) < 0.5  # KL(q ‖ p(z | x_seen)), in nats
        tensor([True, True, True])
    """
    require_positive(starts=starts, k=k, max_steps=max_steps)
    target = Target.of(model, x, mask)
    target.require_room(starts, k, starts=starts, k=k)
    encoded = guesses(model, target, generator)
    if kept is None:
        draws = PriorDraws.scattered(target, generator)
    else:
        kept.require_of(target.source)
        draws = kept
    points = starting_points(target, encoded, draws, starts)
    require_room_for_matrices(target, starts)
    found = find_modes(target, points, generator)
    if refine:
        method = _refinement(target, k, generator)
        found = ascend_from_each(method, target, found, tolerance=tolerance, max_steps=max_steps)
    if mixture:
        q, converged = mixture_of_modes(found), found.converged.all(0)
    else:
        highest = best(found)
        q, converged = highest.q, highest.converged
    return VariationalPosterior.of(target, q, generator, converged=converged)


def _refinement(target: Target, k: int, generator: torch.Generator) -> AscentMethod:
    if target.is_large:
        return SubspaceAscent(target.latents, k, target.x, generator)
    return NaturalGradientAscent(target.latents, k, target.x, generator, diagonal=False)


def require_room_for_matrices(target: Target, starts: int) -> None:
    """Check that the covariances of all starts can be held, where they are matrices.

    The points of a step of a fit take twice as much.

    Raises:
        UsageError: if their memory is not free.
    """
    if not target.is_large:
        points = 2 * target.latents + 1
        target.require_room(starts, points, starts=starts, latents=target.latents)


def mixture_of_modes(found: Ascent) -> GaussianMixture:
    """Return the mixture of each row's Gaussians (M, B, ...), with masses ∝ exp(ELBO).

    These masses are optimal if the Gaussians do not overlap. Only the best Gaussian of a mode is
    kept.
    """
    repeated = repeats(found.q, found.elbo)
    return GaussianMixture(found.elbo.masked_fill(repeated, -torch.inf), found.q)
