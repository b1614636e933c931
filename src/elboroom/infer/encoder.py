"""The encoder as an inference method."""

import torch

from elboroom.infer.observed import Array
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.vae import VAE


@checked
@torch.no_grad()
def encoder(
    model: VAE, x: Array, mask: Array | None = None, *, generator: torch.Generator
) -> VariationalPosterior:
    """Return the encoder's q(z | x) of every row: one pass through the network, without a fit.

    The encoder was trained on whole images, and unseen pixels enter it as 0. Its guess is therefore
    worse the less is seen; the ELBO and `infer.sir` measure how much worse. `partial_encoder` is
    the function for partly seen rows.

    Args:
        model: the model, whose encoder is used.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the ELBO's estimate and of the result's draws.

    Raises:
        UsageError: if data or mask do not fit the model.

    Example:
        >>> guess = infer.encoder(model, x, mask, generator=generator)
        >>> guess.mean.shape, guess.elbo.shape
        (torch.Size([3, 2]), torch.Size([3]))
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> exact.kl(guess.q) > exact.kl(posterior.q)  # a fit to the seen half is closer
        tensor([True, True, True])
    """
    target = Target.of(model, x, mask)
    return VariationalPosterior.of(target, model.posterior(*target.given.data), generator)
