"""Rows whose imputed entries are not to be trusted, and why."""

import torch
from torch import Tensor

from elboroom.imputation.scores import RowScores

_FAR = 6.0  # robust standard deviations below the others
_NORMAL = 1.4826  # standard deviations of a normal density in a median absolute deviation


def row_doubts(scores: RowScores, seen: Tensor) -> dict[int, str]:
    """Return the reason not to trust a row, by its number.

    Args:
        scores: log p of the seen entries of N rows.
        seen: (N, D), True where an entry is seen.
    """
    gaps, found = ~seen.all(1), dict[int, str]()
    for row in (gaps & _are_far(scores.log_prob, seen)).nonzero()[:, 0].tolist():
        found[row] = "unlike the other rows: what is known of it has a far lower probability"
    for row in (gaps & ~scores.reliable).nonzero()[:, 0].tolist():
        found[row] = f"the weights of its draws have a heavy tail, k̂ = {scores.k_hat[row]:.2f}"
    for row in (~seen.any(1)).nonzero()[:, 0].tolist():
        found[row] = "nothing is known of it: it is filled in with what is usual"
    return dict(sorted(found.items()))


def _are_far(log_prob: Tensor, seen: Tensor) -> Tensor:
    """Mark rows whose log p(x_seen) is far below that of rows with as many seen entries, (N,)."""
    count = seen.sum(1).to(log_prob)
    centred = count - count.mean()
    variance = centred.square().sum()
    slope = (centred * log_prob).sum() / variance if variance > 0 else log_prob.new_zeros(())
    rest = log_prob - slope * centred
    rest = rest - rest.median()
    spread = _NORMAL * rest.abs().median()
    return rest < -_FAR * torch.clamp(spread, min=1e-6)
