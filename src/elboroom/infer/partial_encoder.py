"""The partial encoder as an inference method."""

import torch

from elboroom.errors import UsageError
from elboroom.infer.observed import Array
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.vae import VAE


@checked
@torch.no_grad()
def partial_encoder(
    model: VAE, x: Array, mask: Array | None = None, *, generator: torch.Generator
) -> VariationalPosterior:
    """Return r(z | x_seen, m) of the model's partial encoder: one pass through a network.

    It covers the posterior rather than to fit one mode of it: `infer.sir` draws from it, and
    corrects it by weights.

    Args:
        model: the model, with a partial encoder.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all, where r is the
            encoder's q(z | x).
        generator: random generator of the ELBO's estimate and of the result's draws.

    Raises:
        UsageError: if data or mask do not fit the model, or it has no partial encoder.

    Example:
        >>> from elboroom.config import AmortiseConfig
        >>> from elboroom.training.amortisation import amortise
        >>> _ = amortise(model, data, AmortiseConfig(steps=20, batch_size=64), networks)
        >>> infer.partial_encoder(model, x, mask, generator=generator).mean.shape
        torch.Size([3, 2])
        >>> nothing = infer.partial_encoder(model, x, torch.zeros_like(mask), generator=generator)
        >>> nothing.q.kl_to_standard()  # where nothing is seen, r is the prior
        tensor([0., 0., 0.])
    """
    if model.partial_encoder is None:
        raise UsageError(
            "this model has no partial encoder",
            why="one is trained after the model, and none was found that belongs to its weights",
            fix="train one: `elboroom amortise RUN`; in Python elboroom.training.amortisation has "
            "`amortise`",
        )
    target = Target.of(model, x, mask)
    q = model.partial_encoder(model, *target.given.data)
    return VariationalPosterior.of(target, q, generator)
