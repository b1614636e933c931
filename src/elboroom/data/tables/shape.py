"""The shape of a column's numbers, from which its likelihood follows."""

import numpy as np

_SKEWED = 1.0  # skewness, above which values above 0 may be log-normal
_OF_LOGS = 0.5  # share of it that their logarithms may keep
_FAR_OUT = 3.0  # quartile distances
_HEAVY = 0.005  # share of values far out; of a Gaussian there are 2 in a million
_LEAST_FAR = 2
_NEAR, _SMALL = 2.0, 10.0  # standard deviations from 0, and the mean that is always near it


def is_log_normal(numbers: np.ndarray) -> bool:
    """Return whether numbers above 0 are skewed, and their logarithms at most half as much."""
    skewness = _skewness(numbers)
    return skewness > _SKEWED and abs(_skewness(np.log(numbers))) < _OF_LOGS * skewness


def is_heavy_tailed(numbers: np.ndarray) -> bool:
    """Return whether more than 0.5 % of some numbers are far out of the quartiles.

    Far out is more than three quartile distances beyond them (Tukey, *Exploratory Data Analysis*,
    1977). Of a Gaussian 0.0002 % are, of Student's t with four degrees of freedom 0.7 %.
    """
    low, high = np.quantile(numbers, [0.25, 0.75])
    reach = _FAR_OUT * (high - low)
    far = int(((numbers < low - reach) | (numbers > high + reach)).sum())
    return reach > 0 and far >= _LEAST_FAR and far > _HEAVY * len(numbers)


def is_near_zero(numbers: np.ndarray) -> bool:
    """Return whether whole numbers come near 0 as counts do, unlike years or millimetres.

    Their mean is at most 10, or at most two standard deviations. A count varies at least as much
    as Poisson's, by √mean, also where other columns tell it. Numbers far from 0 may vary less.
    """
    return bool(numbers.mean() <= max(_SMALL, _NEAR * numbers.std()))


def is_overdispersed(numbers: np.ndarray) -> bool:
    """Return whether the variance of counts is above their mean, by two standard errors.

    Of n counts of Poisson the ratio of both has a standard error of about √(2 / n).
    """
    return bool(numbers.var() > numbers.mean() * (1 + 2 * np.sqrt(2 / len(numbers))))


def _skewness(numbers: np.ndarray) -> float:
    scale = numbers.std()
    return float((((numbers - numbers.mean()) / scale) ** 3).mean()) if scale > 0 else 0.0
