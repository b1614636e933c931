"""The encoder as an inference method."""

import torch
from torch import Tensor

from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.vae import VAE


@torch.no_grad()
def encoder(
    model: VAE, x: Tensor, mask: Tensor | None = None, *, generator: torch.Generator
) -> VariationalPosterior:
    """Return the encoder's q(z | x) of every row: one pass through the network, without a fit.

    The encoder was trained on whole images, and unseen pixels enter it as 0. Its guess is therefore
    worse the less is seen; the ELBO and `infer.sir` measure how much worse.

    Args:
        model: the model, whose encoder is used.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the ELBO's estimate and of the result's draws.

    Raises:
        UsageError: if the mask does not fit, or a seen value is not finite.
    """
    target = Target.of(model, x, mask)
    return VariationalPosterior.of(target, model.posterior(x, mask), generator)
