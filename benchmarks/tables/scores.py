"""How far imputed entries are from the hidden truth.

A table is an array (N, D), where a level stands as its code; `types` has one entry for each column.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_NUMBERS = ("real", "positive", "count")
_UNORDERED = ("binary", "category")


def column_errors(truth: Array, filled: Array, hidden: Mask, types: Sequence[str]) -> Array:
    """Return the error of each column (D,), NaN where nothing is hidden.

    Binary and category: the share of wrong levels. All others: the root mean squared error over the
    hidden entries, over the standard deviation of the whole true column. An ordinal is rounded to a
    level first, since a table can hold nothing else.
    """
    columns = zip(truth.T, filled.T, hidden.T, types, strict=True)
    return np.array([_error(*column) for column in columns])


def error(truth: Array, filled: Array, hidden: Mask, types: Sequence[str]) -> float:
    """Return one error of a table: √(mean of squares) over numeric columns, averaged with the rest.

    With R numeric columns (the others are binary or categories, whose errors are shares e_j), it is
    (R √(Σ_r e_r² / R) + Σ_j e_j) / D, over the columns that have hidden entries.
    """
    errors = column_errors(truth, filled, hidden, types)
    unordered, known = np.isin(types, _UNORDERED), ~np.isnan(errors)
    numeric, shares = errors[~unordered & known], errors[unordered & known]
    whole = np.sqrt((numeric**2).mean()) if len(numeric) else 0.0
    return float((len(numeric) * whole + shares.sum()) / known.sum())


def _error(truth: Array, filled: Array, hidden: Mask, kind: str) -> float:
    if not hidden.any():
        return np.nan
    if kind in _UNORDERED:
        return float((truth != filled)[hidden].mean())
    found = np.clip(np.round(filled), 0, truth.max()) if kind == "ordinal" else filled
    return float(np.sqrt(((truth - found)[hidden] ** 2).mean()) / truth.std())


def coverage(truth: Array, draws: Array, hidden: Mask, types: Sequence[str], level: float) -> float:
    """Return the share of hidden numbers inside the central interval of their draws (m, N, D).

    The place of the truth y among m draws x is u = (#{x < y} + U (#{x = y} + 1)) / (m + 1), where U
    is uniform: it is uniform if y and the draws have one distribution, also one with atoms such as
    a count's (Czado, Gneiting & Held 2009). The interval holds (1 − level)/2 ≤ u ≤
    (1 + level)/2. Columns of types real, positive and count are numbers; NaN if there is none.
    """
    numeric = hidden & np.isin(types, _NUMBERS)
    places = _places(truth[numeric], draws[:, numeric], np.random.default_rng(0))
    return float((np.abs(places - 0.5) <= level / 2).mean()) if len(places) else np.nan


def _places(y: Array, x: Array, rng: np.random.Generator) -> Array:
    below, equal = (x < y).sum(axis=0), (x == y).sum(axis=0)
    return (below + rng.random(len(y)) * (equal + 1)) / (len(x) + 1)


def energy_score(truth: Array, draws: Array, hidden: Mask, types: Sequence[str]) -> float:
    """Return the mean over rows of E‖X − y‖ − ½ E‖X − X′‖ (Gneiting & Raftery 2007, §4.3).

    X, X′ are two different draws of the hidden entries of a row, y the truth. Numbers and ordinals
    are in standard deviations of the true column; different levels of a binary column or a category
    are at distance 1. Draws are (m, N, D), m ≥ 2; E‖X − X′‖ is the mean over pairs of different
    draws, which is unbiased (Ferro 2014). Rows with nothing hidden do not count.
    """
    kept = hidden.any(axis=1)
    weights = np.where(hidden, _weights(truth, types), 0.0)[kept]
    y, x = truth[kept], draws[:, kept]
    unordered = np.isin(types, _UNORDERED)
    to_truth = [_distances(draw, y, weights, unordered) for draw in x]
    pairs = [_distances(a, b, weights, unordered) for i, a in enumerate(x) for b in x[:i]]
    return float((np.mean(to_truth, axis=0) - np.mean(pairs, axis=0) / 2).mean())


def _weights(truth: Array, types: Sequence[str]) -> Array:
    """Return 1 / variance of each column (D,), and 1 for those without order."""
    return np.where(np.isin(types, _UNORDERED), 1.0, 1 / truth.var(axis=0))


def _distances(a: Array, b: Array, weights: Array, unordered: Mask) -> Array:
    """Return √(Σⱼ wⱼ dⱼ²) of each row, (N,); d is 1 between different levels without order."""
    squares = np.where(unordered, a != b, (a - b) ** 2)
    return np.sqrt((weights * squares).sum(axis=1))


def ranks(errors: Array) -> Array:
    """Return the ranks (…, M) of M methods by error, 1 for the least; equal ones share the mean.

    NaN, for a method that did not run, has rank NaN, and is not counted for the others.
    """
    below = (errors[..., None, :] < errors[..., :, None]).sum(axis=-1)
    equal = (errors[..., None, :] == errors[..., :, None]).sum(axis=-1)
    return np.where(np.isnan(errors), np.nan, below + (equal + 1) / 2)
