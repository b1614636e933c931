"""Rubin's rules: one estimate from the analyses of many completed tables."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pooled:
    """An estimate with its variance and degrees of freedom, each of the shape of the estimates."""

    estimate: Array
    variance: Array
    freedom: Array

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return the ends of the central interval of Student's t."""
        half = student_t.ppf((1 + level) / 2, self.freedom) * np.sqrt(self.variance)
        return self.estimate - half, self.estimate + half


def pool(estimates: Array, variances: Array, freedom: float) -> Pooled:
    """Pool the estimates (m, …) of m ≥ 2 completed tables and their variances.

    The mean Q̄ has the variance T = Ū + (1 + 1/m) B (Rubin 1987, eq. 3.1.5), where Ū is the mean of
    the variances and B the variance between estimates. Its degrees of freedom are those of
    Barnard & Rubin (1999), where `freedom` is that of the analysis of a table without gaps.
    """
    m = len(estimates)
    within, between = variances.mean(axis=0), estimates.var(axis=0, ddof=1)
    # T = Ū + (1 + 1/m) B
    total = within + (1 + 1 / m) * between
    return Pooled(estimates.mean(axis=0), total, _freedom(1 - within / total, m, freedom))


def _freedom(share: Array, m: int, whole: float) -> Array:
    """Return 1 / (1/ν_m + 1/ν_obs); `share` is γ, that of B in T.

    ν_m = (m − 1) / γ² and ν_obs = (ν + 1) / (ν + 3) ν (1 − γ), where ν is `whole`.
    """
    observed = (whole + 1) / (whole + 3) * whole * (1 - share)
    return 1 / (share**2 / (m - 1) + 1 / observed)
