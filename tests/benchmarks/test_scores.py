import math

import numpy as np
import pytest

from benchmarks.tables import scores

ROWS, DRAWS = 10_000, 20


def normal(rng, *shape):
    return rng.standard_normal(shape)


def test_the_error_of_each_type_of_column():
    truth = np.array([[0.0, 0.0, 0.0], [2.0, 1.0, 1.0], [0.0, 2.0, 2.0], [2.0, 3.0, 3.0]])
    off = np.array([[0.5, 1.0, 0.4], [0.5, 0.0, -0.4], [9.0, 0.0, 0.7], [0.5, 0.0, 9.0]])
    hidden = np.ones((4, 3), dtype=bool)
    hidden[2, 0] = False
    types = ["real", "category", "ordinal"]
    # the ordinal is rounded to 0, 1, 3, 3: one step wrong in four, over its variance 5/4
    expected = [0.5, 0.25, math.sqrt(0.25 / 1.25)]
    assert scores.column_errors(truth, truth + off, hidden, types) == pytest.approx(expected)
    numeric = math.sqrt((0.25 + 0.2) / 2)
    whole = (2 * numeric + 0.25) / 3
    assert scores.error(truth, truth + off, hidden, types) == pytest.approx(whole)


def test_a_column_without_hidden_entries_does_not_count():
    truth = np.array([[0.0, 0.0], [2.0, 2.0]])
    hidden = np.array([[True, False], [True, False]])
    assert scores.error(truth, truth + 0.5, hidden, ["real", "real"]) == pytest.approx(0.5)


def energy(m, pairs=scores.energy_score):
    """The energy score of m exact draws of three standard Gaussian columns."""
    rng = np.random.default_rng(0)
    truth, draws = normal(rng, ROWS, 3), normal(rng, m, ROWS, 3)
    truth = (truth - truth.mean(0)) / truth.std(0)
    return pairs(truth, draws, np.ones((ROWS, 3), dtype=bool), ["real"] * 3)


def test_the_energy_score_of_exact_draws():
    """½ E‖X − X′‖ = E‖N(0, I₃)‖ / √2 = 2 / √π."""
    error = 0.7 / math.sqrt(ROWS)  # ‖X − y‖ has standard deviation 0.95
    assert energy(DRAWS) == pytest.approx(2 / math.sqrt(math.pi), abs=4 * error)
    assert energy(2) == pytest.approx(2 / math.sqrt(math.pi), abs=6 * error)


def test_the_energy_score_is_in_standard_deviations_and_skips_what_is_seen():
    truth = np.array([[0.0, 5.0], [2.0, 5.0], [0.0, 7.0], [2.0, 7.0]]) * 10
    hidden = np.array([[True, False], [False, False], [False, False], [False, True]])
    draws = np.stack([truth, truth + 10.0])
    # each of two rows: (0 + 1)/2 − 1/2
    assert scores.energy_score(truth, draws, hidden, ["real"] * 2) == pytest.approx(0.0)
    draws = np.stack([truth + 10.0, truth - 30.0])
    # (1 + 3)/2 − 4/2 = 0, and with both on one side (1 + 3)/2 − 2/2 = 1
    assert scores.energy_score(truth, draws, hidden, ["real"] * 2) == pytest.approx(0.0)
    draws = np.stack([truth + 10.0, truth + 30.0])
    assert scores.energy_score(truth, draws, hidden, ["real"] * 2) == pytest.approx(1.0)


def test_different_levels_are_at_distance_one_in_the_energy_score():
    truth = np.array([[0.0], [4.0]])
    draws = np.array([[[3.0], [4.0]], [[2.0], [4.0]]])
    hidden = np.ones((2, 1), dtype=bool)
    # (1 + 1)/2 − 1/2 in the first row, 0 in the second
    assert scores.energy_score(truth, draws, hidden, ["category"]) == pytest.approx(0.25)


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("kind", ["count", "real"])
def test_exact_draws_are_covered_as_they_should(kind, level):
    rng = np.random.default_rng(1)
    shape = (DRAWS + 1, ROWS, 1)
    x = rng.poisson(0.7, shape) * 1.0 if kind == "count" else normal(rng, *shape)
    hidden = np.ones((ROWS, 1), dtype=bool)
    covered = scores.coverage(x[0], x[1:], hidden, [kind], level)
    error = math.sqrt(level * (1 - level) / ROWS)
    assert covered == pytest.approx(level, abs=4 * error)
    narrow = scores.coverage(x[0], x[1:] / 2, hidden, [kind], level)
    assert narrow < level - 10 * error


def test_levels_have_no_intervals():
    x = np.zeros((5, 1))
    covered = scores.coverage(x, np.zeros((3, 5, 1)), x == 0, ["category"], 0.9)
    assert math.isnan(covered)


def test_ranks_share_places_and_leave_out_who_did_not_run():
    found = scores.ranks(np.array([[0.3, 0.1, 0.3, np.nan], [1.0, 2.0, 3.0, 0.0]]))
    expected = [[2.5, 1.0, 2.5, np.nan], [2.0, 3.0, 4.0, 1.0]]
    np.testing.assert_array_equal(found, expected)
