"""Scores of withheld entries: errors and coverage of each column."""

import math

import pytest
import torch
from torch import Tensor

from elboroom.evaluation.entries import INTERVALS, EntryScores, score_entries
from elboroom.randomness import stream
from tests.support.oracles import assert_rejected

ROWS, DRAWS = 4_000, 99
NUMBER, LEVEL = torch.tensor([False]), torch.tensor([True])


def scores(x: Tensor, draws: Tensor, **options: Tensor) -> EntryScores:
    """Score all entries of one column; the prediction is 0 unless another is given."""
    everything = torch.ones_like(x, dtype=torch.bool)
    given = {
        "withheld": everything,
        "seen": everything,
        "prediction": torch.zeros_like(x),
        "is_level": NUMBER,
        "is_ordered": ~NUMBER,
    }
    return score_entries(x, draws=draws, generator=stream(0, "ties"), **(given | options))


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_covered(found: EntryScores) -> None:
    """Check that the coverage is nominal to within 4.5 standard errors."""
    for level, share in zip(INTERVALS, found.coverage[:, 0].tolist(), strict=True):
        assert abs(share - level) <= 4.5 * math.sqrt(level * (1 - level) / ROWS)


def test_draws_from_the_right_density_cover_as_they_say():
    x = normal(ROWS, 1)

    def check(scale: float) -> None:
        assert_covered(scores(x, normal(DRAWS, ROWS, 1, seed=1, scale=scale)))

    check(1.0)
    assert_rejected(lambda: check(0.9))


def test_counts_with_many_ties_cover_as_they_say():
    """Each interval of a Poisson(0.7) would cover too much without broken ties."""
    rate = torch.full((DRAWS + 1, ROWS, 1), 0.7)

    def check(more: float) -> None:
        drawn = torch.poisson(
            rate * torch.tensor([1.0, *[more] * DRAWS])[:, None, None],
            generator=torch.Generator().manual_seed(2),
        )
        assert_covered(scores(drawn[0], drawn[1:]))

    check(1.0)
    assert_rejected(lambda: check(2.0))


def test_errors_are_those_of_the_withheld_entries_alone():
    x = torch.tensor([[1.0], [2.0], [6.0], [math.nan]])
    withheld = torch.tensor([[False], [False], [True], [False]])
    seen = torch.tensor([[True], [True], [False], [False]])
    prediction = torch.full_like(x, 4.0)
    found = scores(x, x.expand(3, -1, -1), withheld=withheld, seen=seen, prediction=prediction)
    assert found.count.tolist() == [1]
    assert found.error.tolist() == pytest.approx([2.0])
    assert found.usual.tolist() == pytest.approx([6.0 - 1.5])


def test_levels_have_a_share_of_wrong_ones_and_a_confidence():
    x = torch.tensor([[0.0], [2.0], [2.0], [1.0]])
    prediction = torch.tensor([[0.0], [2.0], [1.0], [1.0]])
    draws = torch.stack([prediction, torch.full_like(x, 2.0)])
    found = scores(x, draws, prediction=prediction, is_level=LEVEL, is_ordered=~LEVEL)
    assert found.error.tolist() == pytest.approx([0.25])
    assert found.usual.tolist() == pytest.approx([0.5])  # 2 is the most frequent
    assert found.confidence.tolist() == pytest.approx([(0.5 + 1.0 + 0.5 + 0.5) / 4])
    assert found.coverage.isnan().all()


def test_a_column_without_withheld_entries_is_unknown():
    x = normal(5, 1)
    found = scores(x, x.expand(3, -1, -1), withheld=torch.zeros(5, 1, dtype=torch.bool))
    assert found.count.item() == 0
    assert found.error.isnan().all()
    assert found.coverage.isnan().all()
