"""The encoder as a method of inference."""

import torch
from torch import Tensor

from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.vae import VAE


@torch.no_grad()
def amortised(
    model: VAE, x: Tensor, mask: Tensor | None = None, *, generator: torch.Generator
) -> VariationalPosterior:
    """The encoder's q(z | x) of every row: no fit, one pass through the network.

    The encoder learned from whole images. Unseen pixels enter it as 0, so that the less is seen,
    the worse its guess; the ELBO and `infer.sir` tell how bad.

    Args:
        model: its encoder is asked.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the estimate of the ELBO, and the draws of the result.

    Raises:
        UsageError: the mask does not fit, or a seen value is not finite.
    """
    target = Target.of(model, x, mask)
    return VariationalPosterior.of(target, model.posterior(x, mask), generator)
