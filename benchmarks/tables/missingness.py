"""Which entries of a complete table are hidden, at random under fixed seeds.

- `mcar20`, `mcar50`: each entry is hidden with probability 0.2 or 0.5, whatever the table says.
- `mar30`: half of the columns, drawn at random, are always seen. Column j of the others is hidden
  in row i with probability σ(aᵢⱼ + bⱼ), where aᵢⱼ = Σₖ wⱼₖ sᵢₖ sums over the seen columns k, s are
  their standardised values, and wⱼₖ ~ N(0, 1) are scaled so that aᵢⱼ has standard deviation 1 over
  the rows. bⱼ makes the mean probability 0.3. Levels enter as their codes. It is the logistic
  mechanism of Muzellec et al. (2020), who leave 30 % of the columns without gaps.

A row or a column that would be hidden whole keeps one entry, drawn at random.
"""

import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_HALVINGS = 60


def mask(x: Array, pattern: str, split: int) -> Mask:
    """Return True (N, D) where an entry of the complete table `x` is hidden."""
    rng = np.random.default_rng((zlib.crc32(pattern.encode()), split))
    hidden = rng.random(x.shape) < PATTERNS[pattern](x, rng)
    _keep_one(hidden, rng)
    _keep_one(hidden.T, rng)
    return hidden


def _keep_one(hidden: Mask, rng: np.random.Generator) -> None:
    """Show one entry, drawn at random, of each row that is hidden whole."""
    whole = np.flatnonzero(hidden.all(axis=1))
    hidden[whole, rng.integers(hidden.shape[1], size=len(whole))] = False


def completely_at_random(x: Array, rng: np.random.Generator, share: float) -> Array:
    """Return the same probability (N, D) for all entries."""
    del rng
    return np.full(x.shape, share)


def by_a_rule(x: Array, rng: np.random.Generator, share: float) -> Array:
    """Return the probabilities (N, D) of the logistic rule on half of the columns; theirs are 0."""
    order = rng.permutation(x.shape[1])
    seen, others = np.split(order, [x.shape[1] // 2])
    s = (x[:, seen] - x[:, seen].mean(0)) / x[:, seen].std(0)
    # aᵢⱼ = Σₖ wⱼₖ sᵢₖ, of standard deviation 1
    a = s @ rng.standard_normal((len(seen), len(others)))
    a = a / a.std(0)
    found = np.zeros(x.shape)
    found[:, others] = np.stack([logistic(column, share) for column in a.T], axis=1)
    return found


def logistic(a: Array, share: float) -> Array:
    """Return σ(a + b), (N,), where b is found by halving so that the mean is `share`."""
    low, high = -30.0, 30.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        too_low = _sigmoid(a + middle).mean() < share
        low, high = (middle, high) if too_low else (low, middle)
    return _sigmoid(a + (low + high) / 2)


def _sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


PATTERNS: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "mcar20": partial(completely_at_random, share=0.2),
    "mcar50": partial(completely_at_random, share=0.5),
    "mar30": partial(by_a_rule, share=0.3),
}
