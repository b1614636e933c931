"""The mean and the standard deviation of each latent under a prior."""

import torch
from torch import Tensor

from elboroom.model.priors.prior import Prior, StandardNormal

_DRAWS = 10_000


@torch.no_grad()
def prior_moments(prior: Prior, latents: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each latent, (D,), from draws unless known.

    Args:
        prior: p(z).
        latents: D.
        generator: random generator of the draws.
    """
    if isinstance(prior, StandardNormal):
        return torch.zeros(latents), torch.ones(latents)
    draws = prior(1).sample(_DRAWS, generator)[:, 0]
    return draws.mean(0), draws.std(0)
