"""Where inference starts: posteriors of partly seen images have modes, and a fit keeps to one."""

import torch
from torch import Tensor

from elboroom.infer.target import Target

_DRAWS = 4_096
_APART = 1.0  # prior standard deviations between two starts of a row
_ROWS = 1_024  # scored at a time


@torch.no_grad()
def starting_points(
    target: Target, encoded: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """The `count` likeliest of a few thousand draws and the encoder's means, (count, B, D).

    Half of the draws are the prior's, half lie twice as far from its mean: a row that the prior did
    not expect may have its posterior there. One matrix product scores all draws against all rows.
    The first start of a row is its best, the next ones lie a distance of 1 apart.

    Args:
        target: log p(x_seen, z).
        encoded: (B, D), the encoder's means, which win in many dimensions, where no draw is close.
        count: of starts for each row.
        generator: makes the draws, the same for all rows.
    """
    prior = target.model.prior(1)
    draws = prior.sample(_DRAWS, generator)[:, 0]
    draws[::2] = 2 * draws[::2] - prior.mean
    chunks = torch.arange(len(target), device=draws.device).split(_ROWS)
    parts = [_likeliest(target.rows(rows), draws, encoded[rows], count) for rows in chunks]
    return torch.cat(parts, 1)


def _likeliest(target: Target, draws: Tensor, encoded: Tensor, count: int) -> Tensor:
    log_joint = torch.cat([target.log_joint_table(draws), target.log_joint(encoded[None])])
    found = []
    for _ in range(count):
        index = log_joint.argmax(0)
        is_draw = (index < len(draws))[:, None]
        found.append(torch.where(is_draw, draws[index.clamp(max=len(draws) - 1)], encoded))
        far_draws = torch.cdist(draws, found[-1]) >= _APART
        far_mean = (encoded - found[-1]).norm(dim=-1) >= _APART
        far = torch.cat([far_draws, far_mean[None]])
        log_joint = log_joint.masked_fill(~far, -torch.inf)
    return torch.stack(found)
