import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from benchmarks.peers.table_task import Filled
from benchmarks.tables import regression, rubin


def test_two_estimates_by_hand():
    pooled = rubin.pool(np.array([0.0, 2.0]), np.array([0.5, 1.5]), 10.0)
    # Ū = 1, B = 2, T = 1 + 3/2 · 2; γ = 3/4, ν_m = 1/γ², ν_obs = 11/13 · 10 · 1/4
    assert (pooled.estimate, pooled.variance) == (1.0, 4.0)
    expected = 1 / (9 / 16 + 13 * 4 / 110)
    assert pooled.freedom == pytest.approx(expected)
    half = 2 * student_t.ppf(0.975, expected)
    assert pooled.interval() == pytest.approx((1 - half, 1 + half))


def test_equal_estimates_have_the_variance_of_one():
    pooled = rubin.pool(np.full(3, 2.0), np.full(3, 0.25), 50.0)
    assert (pooled.estimate, pooled.variance) == (2.0, 0.25)
    assert pooled.freedom == pytest.approx(51 / 53 * 50)


def held(proper):
    """How often pooled intervals hold the mean of 40 normal numbers, of which 16 are missing."""
    rng, tables, seen, missing, m = np.random.default_rng(0), 4_000, 24, 16, 20
    x = rng.standard_normal((tables, seen))
    mean, s = x.mean(axis=1), x.std(axis=1, ddof=1)
    sigma = s * np.sqrt((seen - 1) / rng.chisquare(seen - 1, (m, tables)))
    place = mean + sigma / math.sqrt(seen) * rng.standard_normal((m, tables)) * proper
    drawn = place[..., None] + sigma[..., None] * rng.standard_normal((m, tables, missing))
    whole = np.concatenate([np.broadcast_to(x, (m, tables, seen)), drawn], axis=-1)
    count = seen + missing
    pooled = rubin.pool(whole.mean(axis=-1), whole.var(axis=-1, ddof=1) / count, count - 1)
    low, high = pooled.interval()
    return ((low <= 0) & (high >= 0)).mean()


def test_intervals_of_proper_imputations_hold_the_truth_at_their_level():
    error = math.sqrt(0.95 * 0.05 / 4_000)
    assert held(proper=True) == pytest.approx(0.95, abs=4 * error)
    assert held(proper=False) < 0.95 - 4 * error  # parameters that are taken as known


def test_least_squares_of_a_table():
    table = np.random.default_rng(0).standard_normal((50, 3))
    beta, variances = regression.least_squares(table)
    design = np.column_stack([np.ones(50), table[:, :2]])
    expected, [residual], *_ = np.linalg.lstsq(design, table[:, 2])
    assert beta == pytest.approx(expected)
    r = np.linalg.qr(design, mode="r")
    assert variances == pytest.approx((np.linalg.inv(r) ** 2).sum(axis=1) * residual / 47)


def test_a_task_has_its_gaps_and_its_coefficients():
    tasks = [regression.task(seed) for seed in range(100)]
    gaps = np.stack([np.isnan(task.x) for task in tasks]).mean(axis=(0, 1))
    error = math.sqrt(0.3 * 0.7 / (100 * regression.ROWS))
    assert gaps == pytest.approx([0.3, 0.0, 0.3], abs=4 * error)
    x = np.concatenate([task.x[~np.isnan(task.x).any(axis=1)] for task in tasks])
    beta, variances = regression.least_squares(x)  # rows are lost by x₂ alone
    assert (np.abs(beta - regression.TRUTH) < 4 * np.sqrt(variances)).all()
    of_first = (x[:, 0] - 0.5 * x[:, 1]).var()
    assert of_first == pytest.approx(0.75, abs=4 * 0.75 * math.sqrt(2 / len(x)))


def test_intervals_of_complete_tables_hold_the_truth_at_their_level():
    rng, tables = np.random.default_rng(0), 1_000
    x = rng.standard_normal((tables, 100, 3))
    x[..., 2] += 1 + x[..., 0] + x[..., 1]
    inside = [regression.holds(Filled(t, np.stack([t, t]))) for t in x]
    error = math.sqrt(0.95 * 0.05 / tables)
    assert np.mean(inside, axis=0) == pytest.approx(0.95, abs=4 * error)
