"""How well withheld entries of a table are predicted: errors and coverage of each column."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.randomness import uniforms


@dataclass(frozen=True)
class EntryScores:
    """The scores of the withheld entries of D columns; NaN where a column has none.

    Attributes:
        count: (D,), the number of withheld entries.
        error: (D,), of numbers the root mean squared error of the prediction, in the column's own
            units; of levels the share of wrong ones.
        usual: (D,), the same error of the column's mean, or of its most frequent level.
        coverage: (L, D), the share of entries within the central interval of each of `INTERVALS`,
            for numbers and ordered levels.
        confidence: (D,), of levels the mean probability of the predicted one.
    """

    count: Tensor
    error: Tensor
    usual: Tensor
    coverage: Tensor
    confidence: Tensor


INTERVALS = (0.5, 0.9)
"""The central intervals whose coverage is measured."""


def score_entries(
    x: Tensor,
    withheld: Tensor,
    seen: Tensor,
    prediction: Tensor,
    draws: Tensor,
    *,
    is_level: Tensor,
    is_ordered: Tensor,
    generator: torch.Generator,
) -> EntryScores:
    """Score predictions of withheld entries.

    Args:
        x: (N, D), the entries; codes of levels.
        withheld: (N, D), True for an entry that is scored.
        seen: (N, D), True for an entry that was seen.
        prediction: (N, D), the mean of numbers, the most probable level.
        draws: (S, N, D), draws of the entries given the seen ones.
        is_level: (D,), True for a column of levels.
        is_ordered: (D,), True for a column whose values have an order.
        generator: random generator that breaks ties of an entry with draws.
    """
    count = withheld.sum(0)
    rank = _rank(x, draws, generator)
    covered = torch.stack([(rank - 0.5).abs() <= level / 2 for level in INTERVALS])
    coverage = _mean(covered.double(), withheld).masked_fill(~is_ordered, torch.nan)
    confidence = (draws == prediction).double().mean(0)
    return EntryScores(
        count,
        _error(x, prediction, withheld, is_level),
        _error(x, _usual(x, seen, is_level).expand_as(x), withheld, is_level),
        coverage,
        _mean(confidence, withheld).masked_fill(~is_level, torch.nan),
    )


def _rank(x: Tensor, draws: Tensor, generator: torch.Generator) -> Tensor:
    """Compute where an entry stands among its draws, (N, D) in [0, 1], uniform if they are right.

    This is the randomised probability integral transform of Czado, Gneiting & Held, *Predictive
    model assessment for count data* (2009), equation 1, with the draws' distribution.
    """
    # u = (#{draws < x} + v (#{draws = x} + 1)) / (S + 1),  v ~ U(0, 1)
    below, equal = (draws < x).sum(0), (draws == x).sum(0)
    v = uniforms(x.shape, x, generator)
    return (below + v * (equal + 1)) / (len(draws) + 1)


def _usual(x: Tensor, seen: Tensor, is_level: Tensor) -> Tensor:
    """Return the mean of the seen entries of each column, or the most frequent level, (D,)."""
    known = x.masked_fill(~seen, torch.nan)
    usual = known.nanmean(0)
    for column in (is_level & seen.any(0)).nonzero()[:, 0].tolist():
        usual[column] = known[seen[:, column], column].mode().values
    return usual


def _error(x: Tensor, prediction: Tensor, withheld: Tensor, is_level: Tensor) -> Tensor:
    """Return the root mean squared error of numbers, and the share of wrong levels, (D,)."""
    square = _mean((prediction - x).double().square(), withheld).sqrt()
    return torch.where(is_level, _mean((prediction != x).double(), withheld), square)


def _mean(values: Tensor, withheld: Tensor) -> Tensor:
    """Return the mean over withheld entries of each column, (…, N, D) → (…, D)."""
    return values.masked_fill(~withheld, 0.0).sum(-2) / withheld.sum(0)
