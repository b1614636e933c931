"""Completion: the model's belief about the pixels that are not seen."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.infer.observed import check_data_and_mask
from elboroom.infer.posterior import Posterior
from elboroom.model.decoding import chunks
from elboroom.model.vae import VAE

_MEAN_DRAWS = 256


@dataclass(frozen=True)
class Completion:
    """Images whose seen pixels are those of the data.

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
    """Fill in the unseen pixels of `x` (B, *event), through draws of z from `posterior`.

    p(x_unseen | x_seen) = ∫ p(x_unseen | z) p(z | x_seen) dz: each draw has its own z. Only
    `posterior.sample` is used.

    Raises:
        UsageError: if the mask does not fit, a seen value is not finite, or the posterior has
            another number of rows.
    """
    x, mask = check_data_and_mask(x, mask)[0], mask.expand(x.shape)
    # The results are allocated once and filled in place: parts that are kept between large
    # blocks which are freed would fragment the memory.
    mean, invented = x.clone(), x.expand(draws, *x.shape).clone()
    z = posterior.sample(_MEAN_DRAWS)
    _require_same_rows(z, x)
    for rows in chunks(model, x, z):
        mean[rows] = model.decode(z[:, rows]).mean.mean(0)
    z = posterior.sample(draws)
    for rows in chunks(model, x, z):
        invented[:, rows] = model.decode(z[:, rows]).sample(generator)
    return Completion(torch.where(mask, x, mean), torch.where(mask, x, invented))


def _require_same_rows(z: Tensor, x: Tensor) -> None:
    if z.shape[1] != len(x):
        raise UsageError(
            "this posterior does not fit the data",
            why=f"found {z.shape[1]} rows in the posterior; expected {len(x)}, one for each of x",
            fix="infer the posterior of the same rows",
        )
