"""Tables of a known Gaussian: the error over that of the exact conditional mean, and the pace."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.peers.table_task import Array, Task
from benchmarks.results import Row
from benchmarks.tables import imputers
from benchmarks.tables.memory import remembered
from benchmarks.tables.missingness import Mask

_COLUMNS, _ROWS, _SPLITS = 10, 1_000, 5
_SHARES = (0.05, 0.2, 0.5)
_METHODS = (imputers.OURS, "mean", "knn", "ridge", "trees", "mice")
_REACH = 1.03
_LONG, _WIDE = 10_000, 30
_PACE_METHODS = (imputers.OURS, "knn", "ridge", "trees")
_SECONDS, _HOPED_SECONDS = 60.0, 30.0


@dataclass(frozen=True)
class Gaussian:
    """N(μ, Σ), of columns of different scales.

    Attributes:
        mean: μ, (D,).
        covariance: Σ, (D, D).
    """

    mean: Array
    covariance: Array

    @classmethod
    def drawn(cls, columns: int, rng: np.random.Generator) -> "Gaussian":
        """Draw Σ = S W S, with W from a Wishart of 3/2 D degrees of freedom: no few factors.

        S are scales from 0.1 to 10; μ is a standard Gaussian times S.
        """
        scales = 10 ** rng.uniform(-1, 1, columns)
        g = rng.standard_normal((columns, 3 * columns // 2)) * scales[:, None]
        return cls(rng.standard_normal(columns) * scales, g @ g.T / g.shape[1])

    def sample(self, rows: int, rng: np.random.Generator) -> Array:
        """Draw a table."""
        return rng.multivariate_normal(self.mean, self.covariance, rows)

    def conditional_mean(self, x: Array, hidden: Mask) -> Array:
        """Return x (N, D) with E[x_hidden | x_seen] in its hidden entries."""
        return np.stack([self._row(*row) for row in zip(x, hidden, strict=True)])

    def _row(self, x: Array, hidden: Mask) -> Array:
        seen, filled = ~hidden, x.copy()
        across = self.covariance[np.ix_(hidden, seen)]
        # μ_h + Σ_hs Σ_ss⁻¹ (x_s − μ_s)
        weights = np.linalg.solve(self.covariance[np.ix_(seen, seen)], x[seen] - self.mean[seen])
        filled[hidden] = self.mean[hidden] + across @ weights
        return filled


def rows(quick: bool) -> Iterator[Row]:
    """Measure the errors, and the pace on a long table."""
    for share in _SHARES[1:2] if quick else _SHARES:
        yield from _errors(share, quick)
    if not quick:
        yield from _pace()


def _errors(share: float, quick: bool) -> Iterator[Row]:
    for method in _METHODS[:4] if quick else _METHODS:
        key = {"gaussian": share, "splits": 1 if quick else _SPLITS}
        ratios = remembered(method, key, partial(_ratios, method, share, key["splits"]))
        what = f"10 Gaussian columns, 1,000 rows, {100 * share:g} % missing"
        what = f"{what}: RMSE over that of the exact conditional mean, {imputers.NAMES[method]}"
        yield Row(what, ratios, "×", _REACH if method == imputers.OURS else None)


def _ratios(method: str, share: float, splits: int) -> list[float]:
    drawn = [_split(seed, share) for seed in range(splits)]
    tasks = [_task(np.where(hidden, np.nan, x), seed) for seed, (_, x, hidden) in enumerate(drawn)]
    filled = imputers.fill(method, tasks)
    return [_ratio(*split, f.mean) for split, f in zip(drawn, filled, strict=True)]


def _split(seed: int, share: float) -> tuple[Gaussian, Array, Mask]:
    rng = np.random.default_rng((seed, round(1_000 * share)))
    gaussian = Gaussian.drawn(_COLUMNS, rng)
    return gaussian, gaussian.sample(_ROWS, rng), rng.random((_ROWS, _COLUMNS)) < share


def _task(x: Array, seed: int) -> Task:
    width = x.shape[1]
    return Task(x, ["real"] * width, np.zeros(width, dtype=np.int64), 20, seed)


def _ratio(gaussian: Gaussian, x: Array, hidden: Mask, filled: Array) -> float:
    """Return the ratio of root mean squared errors, each column in its standard deviations."""
    scales = np.sqrt(np.diag(gaussian.covariance))
    exact = gaussian.conditional_mean(x, hidden)
    errors = [(((found - x) / scales)[hidden] ** 2).mean() for found in (filled, exact)]
    return float(np.sqrt(errors[0] / errors[1]))


def _pace() -> Iterator[Row]:
    """Time an imputation of 10,000 × 30 with 20 % missing and two threads."""
    for method in _PACE_METHODS:
        seconds = remembered(method, {"pace": [_LONG, _WIDE]}, partial(_seconds, method))
        what = f"10,000 × 30, 20 % missing, 2 threads: train and impute, {imputers.NAMES[method]}"
        bounds = (_SECONDS, _HOPED_SECONDS) if method == imputers.OURS else (None, None)
        yield Row(what, [seconds], "s", *bounds)


def _seconds(method: str) -> float:
    rng = np.random.default_rng(0)
    x = Gaussian.drawn(_WIDE, rng).sample(_LONG, rng)
    x[rng.random(x.shape) < 0.2] = np.nan
    [filled] = imputers.fill(method, [_task(x, 0)], threads=2)
    return filled.seconds
