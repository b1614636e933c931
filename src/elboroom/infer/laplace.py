"""The Laplace approximation, and from it the best Gaussian."""

import torch
from torch import Tensor

from elboroom.errors import require_positive
from elboroom.infer.fitting.ascent import Ascent, ascend_from_each, best
from elboroom.infer.fitting.modes import find_modes, repeats
from elboroom.infer.fitting.natural_gradient import NaturalGaussian
from elboroom.infer.fitting.starting_points import starting_points
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.posteriors import Gaussian, GaussianMixture
from elboroom.model.vae import VAE


@torch.no_grad()
def laplace(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    starts: int = 2,
    mixture: bool = False,
    refine: bool = True,
    k: int = 32,
    tolerance: float = 0.01,
    max_steps: int = 120,
) -> VariationalPosterior:
    """A Gaussian at the mode of each row's posterior, refined to the best full-covariance one.

    Damped Newton steps with the Gauss–Newton precision find the modes nearest to a few starts;
    natural gradients then raise the ELBO from N(mode, precision⁻¹). Some tens of decodings find the
    mode, some hundreds the optimum, against the thousands of stochastic gradients.

    Args:
        model: its decoder stays as it is.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the starts, the refinement, and the draws of the result.
        starts: starting points of each row; the fit with the largest ELBO is kept.
        mixture: keep all that lie apart instead, with masses in proportion to exp(ELBO).
        refine: False stops at the Laplace approximation.
        k: samples of z an image and step, beyond two dimensions.
        tolerance: the gain in nats, beyond its noise, below which a row stops.
        max_steps: after which a row that has not stopped is given up as not converged.

    Raises:
        UsageError: the mask does not fit, a seen value is not finite, or a count is not positive.
    """
    require_positive(starts=starts, k=k, max_steps=max_steps)
    target = Target.of(model, x, mask)
    points = starting_points(target, model.posterior(x, mask).mean, starts, generator)
    found = find_modes(target, points)
    if refine:
        climber = NaturalGaussian(target.latents, k, x, generator, diagonal=False)
        found = ascend_from_each(climber, target, found, tolerance=tolerance, max_steps=max_steps)
    if mixture:
        q, converged = mixture_of_modes(found), found.converged.all(0)
    else:
        highest = best(found)
        q, converged = Gaussian(*highest.parameters), highest.converged
    return VariationalPosterior.of(target, q, generator, converged=converged)


def mixture_of_modes(found: Ascent) -> GaussianMixture:
    """The mixture of the Gaussians (M, B, ...) of each row, with masses ∝ exp(ELBO).

    That is its optimum where they do not overlap; of those that met in one mode the best is kept.
    """
    q = Gaussian(*found.parameters)
    return GaussianMixture(found.elbo.masked_fill(repeats(q, found.elbo), -torch.inf), q)
