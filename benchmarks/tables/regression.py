"""A regression after multiple imputation: how often its 95 % intervals hold the true coefficients.

x₁, x₂ are standard Gaussian with correlation 0.5, y = 1 + x₁ + x₂ + ε with ε ~ N(0, 1), 500 rows.
x₂ is always seen. x₁, and y apart from it, are missing with probability σ(x₂ + b), whose mean is
0.3: at random, since it depends on a seen column alone. Each completed table is analysed by least
squares, and the analyses are pooled by Rubin's rules.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.peers.table_task import Array, Filled, Task
from benchmarks.results import Row
from benchmarks.tables import imputers, missingness, rubin
from benchmarks.tables.memory import remembered

TRUTH = np.ones(3)
"""The intercept, and the coefficients of x₁ and x₂."""
ROWS = 500
_CORRELATION, _SHARE = 0.5, 0.3
_DRAWS, _SIMULATIONS, _QUICK_SIMULATIONS = 20, 200, 2
_AT_A_TIME = 10  # simulations of a process, which are kept together
_METHODS = (imputers.OURS, "mice")
_LEVEL, _REACH = 95.0, 2.0


def rows(quick: bool) -> Iterator[Row]:
    """Simulate, impute, pool, and count."""
    simulations = _QUICK_SIMULATIONS if quick else _SIMULATIONS
    for method in _METHODS:
        yield from _rows(method, _percent(method, simulations))


def _percent(method: str, simulations: int) -> list[float]:
    """Return how often the intervals of the coefficients (3,) hold the truth, in %."""
    held = list[list[bool]]()
    for first in range(0, simulations, _AT_A_TIME):
        seeds = range(first, min(first + _AT_A_TIME, simulations))
        what = {"regressions": [seeds.start, seeds.stop]}
        held += remembered(method, what, partial(_held, method, seeds))
    return (100 * np.array(held).mean(axis=0)).tolist()


def _held(method: str, seeds: range) -> list[list[bool]]:
    """Return whether the intervals of each simulation hold the truth, 3 for each seed."""
    filled = imputers.fill(method, [task(seed) for seed in seeds])
    return [holds(found).tolist() for found in filled]


def _rows(method: str, percent: list[float]) -> Iterator[Row]:
    """Show how often the intervals of the coefficients held the truth, of the gapped x₁ first."""
    for name, found in zip(("x₁, which has gaps", "x₂"), percent[1:], strict=True):
        what = f"coefficient of {name}, pooled: 95 % intervals hold it, {imputers.NAMES[method]}"
        yield Row(what, [found], "%")
    if method == imputers.OURS:
        what = "coefficient of x₁, pooled: 95 % intervals hold it, distance from 95 %, elboroom"
        yield Row(what, [abs(percent[1] - _LEVEL)], "percentage points", _REACH)


def task(seed: int) -> Task:
    """Draw a table x₁, x₂, y with gaps."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((ROWS, 3))
    second = noise[:, 1]
    first = _CORRELATION * second + np.sqrt(1 - _CORRELATION**2) * noise[:, 0]
    x = np.stack([first, second, np.stack([np.ones(ROWS), first, second]).T @ TRUTH], axis=1)
    x[:, 2] += noise[:, 2]
    hidden = rng.random((ROWS, 2)) < missingness.logistic(second, _SHARE)[:, None]
    x[:, [0, 2]] = np.where(hidden, np.nan, x[:, [0, 2]])
    return Task(x, ["real"] * 3, np.zeros(3, dtype=np.int64), _DRAWS, seed)


def holds(filled: Filled) -> npt.NDArray[np.bool_]:
    """Return whether the pooled interval of each coefficient (3,) holds the truth."""
    analyses = [least_squares(table) for table in filled.draws]
    estimates, variances = (np.stack(part) for part in zip(*analyses, strict=True))
    low, high = rubin.pool(estimates, variances, ROWS - 3).interval()
    return (low <= TRUTH) & (high >= TRUTH)


def least_squares(table: Array) -> tuple[Array, Array]:
    """Regress y on 1, x₁, x₂: return the coefficients (3,) and their variances."""
    design, y = np.column_stack([np.ones(len(table)), table[:, :2]]), table[:, 2]
    # β = (XᵀX)⁻¹ Xᵀy, of covariance s² (XᵀX)⁻¹
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ y
    s2 = ((y - design @ beta) ** 2).sum() / (len(y) - 3)
    return beta, s2 * np.diag(inverse)
