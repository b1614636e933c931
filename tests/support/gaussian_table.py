"""A table of a known Gaussian, with gaps."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import multivariate_normal


@dataclass(frozen=True)
class GaussianTable:
    """Rows of N(μ, Σ) in columns of different scales, of which some entries are missing.

    Attributes:
        mean: μ, (D,).
        covariance: Σ, (D, D).
        whole: (N, D).
        gaps: (N, D), True where an entry is missing.
    """

    mean: np.ndarray
    covariance: np.ndarray
    whole: np.ndarray
    gaps: np.ndarray

    @classmethod
    def of(cls, rows: int, missing: float, seed: int) -> "GaussianTable":
        random = np.random.default_rng(seed)
        scales = np.array([1.0, 10.0, 0.1, 5.0, 1.0])
        loadings = np.array([[1, 1, -1, 0, 0.5], [0, 1, 1, -1, 0.5]]).T * scales[:, None]
        covariance = loadings @ loadings.T + np.diag(0.3 * scales**2)
        mean = 3 * scales
        whole = random.multivariate_normal(mean, covariance, rows)
        return cls(mean, covariance, whole, random.random(whole.shape) < missing)

    @property
    def x(self) -> np.ndarray:
        """The rows, NaN where an entry is missing, (N, D)."""
        return np.where(self.gaps, np.nan, self.whole)

    @cached_property
    def conditional_mean(self) -> np.ndarray:
        """The rows, with E[x_missing | x_seen] where an entry is missing, (N, D)."""
        found = self.whole.copy()
        for row, gaps in zip(found, self.gaps, strict=True):
            across = self.covariance[np.ix_(gaps, ~gaps)]
            weights = np.linalg.solve(self.covariance[np.ix_(~gaps, ~gaps)], across.T).T
            row[gaps] = self.mean[gaps] + weights @ (row - self.mean)[~gaps]
        return found

    @property
    def log_prob(self) -> np.ndarray:
        """log p(x_seen) of each row in nats, (N,)."""
        return np.array(
            [
                multivariate_normal(self.mean[seen], self.covariance[np.ix_(seen, seen)]).logpdf(
                    row[seen]
                )
                if seen.any()
                else 0.0
                for row, seen in zip(self.whole, ~self.gaps, strict=True)
            ]
        )

    def error(self, filled: np.ndarray) -> float:
        """The root mean square of the errors of missing entries, each in its column's units."""
        errors = (filled - self.whole) / np.sqrt(np.diag(self.covariance))
        return float(np.sqrt(np.square(errors[self.gaps]).mean()))
