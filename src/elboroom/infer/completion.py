"""Completion: the model's belief about the pixels that are not seen."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.data import noun
from elboroom.data.summary import counted
from elboroom.device import require_room
from elboroom.errors import require_positive
from elboroom.html_table import Shown, Summary
from elboroom.infer.completion_picture import picture
from elboroom.infer.observed import Array, Observed, check_data_and_mask, require_mask
from elboroom.infer.posterior import Posterior
from elboroom.model.arguments import checked
from elboroom.model.decoding import chunks
from elboroom.model.vae import VAE

_MEAN_DRAWS = 256


@dataclass(frozen=True, repr=False)
class Completion(Shown):
    """Images whose seen pixels are those of the data.

    Attributes:
        mean: (B, *event), unseen pixels at E[x_unseen | x_seen].
        draws: (S, B, *event), unseen pixels drawn from p(x_unseen | x_seen).
        seen: (B, *event), True where a pixel was seen; None if that is not known.

    Example:
        >>> filled = infer.complete(model, x, mask, posterior, draws=5, generator=generator)
        >>> filled.mean.shape, filled.draws.shape
        (torch.Size([3, 1, 28, 28]), torch.Size([5, 3, 1, 28, 28]))
        >>> bool((filled.draws == x)[..., mask].all())  # seen pixels stay as they are
        True
    """

    mean: Tensor
    draws: Tensor
    seen: Tensor | None = None

    def _summary(self) -> Summary:
        shape, word = tuple(self.mean.shape[1:]), noun(tuple(self.mean.shape[1:]))
        facts: dict[str, object] = {"values": " × ".join(map(str, shape)), "draws": len(self.draws)}
        if self.seen is None:
            return Summary(counted(len(self.mean), word), facts)
        facts["filled in"] = f"{(~self.seen).double().mean():.1%} of the values"
        drawable = len(self.mean) and len(shape) == 3 and shape[0] in (1, 3)
        pictures = [picture(self.mean, self.draws, self.seen)] if drawable else []
        return Summary(counted(len(self.mean), word), facts, pictures)


@checked
@torch.no_grad()
def complete(
    model: VAE,
    x: Array,
    mask: Array,
    posterior: Posterior,
    *,
    draws: int,
    generator: torch.Generator,
) -> Completion:
    """Fill in the unseen pixels of `x` (B, *event), through draws of z from `posterior`.

    p(x_unseen | x_seen) = ∫ p(x_unseen | z, x_seen) p(z | x_seen) dz: each draw has its own z.

    Raises:
        UsageError: if data or mask do not fit the model, `mask` is None, the posterior was inferred
            from other seen values, under another mask or with another model, or `draws` is not
            positive.

    Example:
        >>> filled = infer.complete(model, x, mask, posterior, draws=5, generator=generator)
        >>> filled.mean.shape, filled.draws.shape
        (torch.Size([3, 1, 28, 28]), torch.Size([5, 3, 1, 28, 28]))
        >>> filled.draws.unique()  # binary, while the mean is grey
        tensor([0., 1.])
    """
    require_positive(draws=draws)
    given = Observed.of(*check_data_and_mask(model, x, require_mask(mask)))
    posterior.target.require_same(model, given)
    x, mask = given.x, given.seen
    require_room((draws, *x.shape), x, draws=draws)
    # The results are allocated once and filled in place: parts that are kept between large
    # blocks which are freed would fragment the memory.
    mean, invented = x.clone(), x.expand(draws, *x.shape).clone()
    z = posterior.sample(_MEAN_DRAWS)
    for rows in chunks(model, x, z):
        mean[rows] = model.decode(z[:, rows]).given(x[rows], mask[rows]).mean_of_draws
    z = posterior.sample(draws)
    for rows in chunks(model, x, z):
        unseen = model.decode(z[:, rows]).given(x[rows], mask[rows])
        invented[:, rows] = unseen.sample(generator)
    return Completion(torch.where(mask, x, mean), torch.where(mask, x, invented), mask)
