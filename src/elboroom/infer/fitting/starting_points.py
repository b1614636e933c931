"""Starting points: posteriors of partly seen images have several modes, and a fit finds one."""

import torch
from torch import Tensor

from elboroom.infer.fitting.prior_draws import PriorDraws
from elboroom.infer.target import Target
from elboroom.model.vae import VAE

_APART = 1.0  # the least distance between two starting points of a row, in latent units
_GUESSES = 32  # draws of a partial encoder
_ROWS = 1_024  # rows that are scored at a time


@torch.no_grad()
def starting_points(target: Target, encoded: Tensor, draws: PriorDraws, count: int) -> Tensor:
    """Return the `count` likeliest of some prior draws and the encoder's guesses, (count, B, D).

    One matrix product scores all draws against all rows. The first starting point of a row is its
    best; the others are at least a distance of 1 apart.

    Args:
        target: log p(x_seen, z).
        encoded: (S, B, D), guesses for each row, as `guesses` makes them. They are best in many
            dimensions, where no draw is close.
        draws: those of the prior.
        count: number of starting points of each row.
    """
    chunks = torch.arange(len(target), device=encoded.device).split(_ROWS)
    parts = [_likeliest(target.rows(rows), encoded[:, rows], draws, count) for rows in chunks]
    return torch.cat(parts, 1)


def _likeliest(target: Target, encoded: Tensor, prior: PriorDraws, count: int) -> Tensor:
    draws = prior.z
    log_joint = torch.cat([prior.log_joint_table(target), target.log_joint(encoded)])
    rows, found = torch.arange(len(target), device=draws.device), list[Tensor]()
    for _ in range(count):
        index = log_joint.argmax(0)
        is_draw = (index < len(draws))[:, None]
        guess = encoded[(index - len(draws)).clamp(min=0), rows]
        found.append(torch.where(is_draw, draws[index.clamp(max=len(draws) - 1)], guess))
        far_draws = torch.cdist(draws, found[-1]) >= _APART
        far_guesses = (encoded - found[-1]).norm(dim=-1) >= _APART
        far = torch.cat([far_draws, far_guesses])
        log_joint = log_joint.masked_fill(~far, -torch.inf)
    return torch.stack(found)


@torch.no_grad()
def guesses(model: VAE, target: Target, generator: torch.Generator) -> Tensor:
    """Return the mean of the encoder for each row, (1, B, D), or that and draws of r, (S, B, D).

    The latter are where the model has a partial encoder r: it covers several modes, and its mean
    may lie between them.
    """
    q = model.amortised_posterior(*target.given.data)
    if model.partial_encoder is None:
        return q.mean[None]
    return torch.cat([q.mean[None], q.sample(_GUESSES, generator)])
