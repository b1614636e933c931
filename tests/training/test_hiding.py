"""Seen values that training hides."""

import math

import pytest
import torch

from elboroom.config import TrainConfig
from elboroom.errors import UsageError
from elboroom.randomness import stream
from elboroom.training.hiding import hide
from tests.support.oracles import assert_rejected

ROWS, COLUMNS = 4_000, 50


def test_the_share_of_a_row_is_uniform_below_the_largest():
    """Its mean is s/2 and its variance s²/12, and a value's s/2 (1 − s/2): 4.5 standard errors."""

    def check(share: float) -> None:
        x = torch.zeros(ROWS, COLUMNS)
        hidden = 1 - hide(x, None, share, stream(0, "hide")).double().mean(1)
        s = 0.6
        # Var[row's share] = s²/12 + E[u (1 − u)] / C
        variance = s**2 / 12 + (s / 2 - s**2 / 3) / COLUMNS
        assert abs(hidden.mean() - s / 2) <= 4.5 * math.sqrt(variance / ROWS)
        assert abs(hidden.var() / variance - 1) <= 4.5 * math.sqrt(2 / ROWS)

    check(0.6)
    assert_rejected(lambda: check(0.55))


def test_unseen_values_stay_unseen():
    mask = torch.rand(100, 7, generator=stream(0, "mask")) < 0.5
    hidden = hide(torch.zeros(100, 7), mask, 0.5, stream(0, "hide"))
    assert not (hidden & ~mask).any()
    assert (mask & ~hidden).any()


def test_nothing_is_drawn_and_hidden_without_a_share():
    generator = stream(0, "hide")
    before = generator.get_state()
    assert hide(torch.zeros(3, 2), None, 0.0, generator) is None
    assert torch.equal(generator.get_state(), before)


def test_values_of_pictures_are_hidden_one_by_one():
    kept = hide(torch.zeros(200, 3, 4, 4), None, 0.9, stream(0, "hide"))
    assert (kept.any(1) & ~kept.all(1)).any()


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_0_and_1_is_refused(share: float):
    with pytest.raises(UsageError, match="hide"):
        TrainConfig(hide=share)
