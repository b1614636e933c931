"""Starting points: posteriors of partly seen images have several modes, and a fit finds one."""

import torch
from torch import Tensor

from elboroom.infer.target import Target
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE

_DRAWS = 4_096
_APART = 1.0  # the least distance between two starting points of a row, in latent units
_GUESSES = 32  # draws of a partial encoder
_ROWS = 1_024  # rows that are scored at a time


def scattered_prior_draws(prior: Density, generator: torch.Generator) -> Tensor:
    """Draw 4,096 prior points, (G, D), and double the distance of every second from the mean.

    The prior has one row. A row that is unlikely under it may have its posterior that far out.
    """
    draws = prior.sample(_DRAWS, generator)[:, 0]
    draws[::2] = 2 * draws[::2] - prior.mean
    return draws


@torch.no_grad()
def starting_points(
    target: Target, encoded: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Return the `count` likeliest of some thousand draws and the encoder's guesses, (count, B, D).

    One matrix product scores all draws against all rows. The first starting point of a row is its
    best; the others are at least a distance of 1 apart.

    Args:
        target: log p(x_seen, z).
        encoded: (S, B, D), guesses for each row, as `guesses` makes them. They are best in many
            dimensions, where no draw is close.
        count: number of starting points of each row.
        generator: random generator of the draws, which all rows share.
    """
    draws = scattered_prior_draws(target.model.prior(1), generator)
    chunks = torch.arange(len(target), device=draws.device).split(_ROWS)
    parts = [_likeliest(target.rows(rows), draws, encoded[:, rows], count) for rows in chunks]
    return torch.cat(parts, 1)


def _likeliest(target: Target, draws: Tensor, encoded: Tensor, count: int) -> Tensor:
    log_joint = torch.cat([target.log_joint_table(draws), target.log_joint(encoded)])
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
