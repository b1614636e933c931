"""Completion: what the model believes of the pixels that are not seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from elboroom.infer.seen import as_rows
from elboroom.memory import decoded_at_a_time
from elboroom.model import VAE

_MEAN_DRAWS = 256


class Posterior(Protocol):
    """Anything that draws z given what is seen."""

    def sample(self, k: int) -> Tensor:
        """k draws, (k, B, D)."""
        ...


@dataclass(frozen=True)
class Completion:
    """Images whose seen pixels are the data's.

    Attributes:
        mean: (B, *event), unseen pixels at E[x_unseen | x_seen].
        draws: (S, B, *event), unseen pixels drawn from p(x_unseen | x_seen).
    """

    mean: Tensor
    draws: Tensor


@torch.no_grad()
def complete(
    model: VAE,
    x: Tensor,
    mask: Tensor,
    posterior: Posterior,
    *,
    draws: int,
    generator: torch.Generator,
) -> Completion:
    """Fill the unseen pixels of `x` (B, *event) in, through draws of z from `posterior`.

    p(x_unseen | x_seen) = ∫ p(x_unseen | z) p(z | x_seen) dz: each draw has a z of its own.
    """
    x, mask = as_rows(x, mask)[0], mask.expand(x.shape)
    # filled in place: parts kept between large blocks that are freed would fragment the memory
    mean, invented = x.clone(), x.expand(draws, *x.shape).clone()
    z = posterior.sample(_MEAN_DRAWS)
    for rows in chunks(model, x, z):
        mean[rows] = model.decode(z[:, rows]).mean.mean(0)
    z = posterior.sample(draws)
    for rows in chunks(model, x, z):
        invented[:, rows] = model.decode(z[:, rows]).sample(generator)
    return Completion(torch.where(mask, x, mean), torch.where(mask, x, invented))


def chunks(model: VAE, x: Tensor, z: Tensor) -> Iterator[Tensor]:
    """The rows of x (B, *event) and z (K, B, D), as many at a time as are well decoded together."""
    rows = torch.arange(z.shape[1], device=z.device)
    yield from rows.split(max(1, decoded_at_a_time(model, x) // max(1, len(z))))
