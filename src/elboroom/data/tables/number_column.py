"""The rules for columns of numbers."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from elboroom.config.kinds import ColumnType
from elboroom.data.tables.column import LEVEL_TYPES, Column, option, refused
from elboroom.data.tables.found import LARGEST, MOST_WHOLE, Found
from elboroom.data.tables.level_column import level_column
from elboroom.data.tables.listing import MOST_SHOWN, listed
from elboroom.data.tables.number_text import decimals_of
from elboroom.data.tables.shape import (
    is_heavy_tailed,
    is_log_normal,
    is_near_zero,
    is_overdispersed,
)

_LEAST_WHOLE = 0.25  # rows of each whole number that is a level, by their mean
_ROWS_OF_WHOLE = 5  # for each of these, on average
_FINE = 1e-4  # standard deviations by which float32 may round
_EXACT = 2.0**24  # the largest count that float32 holds exactly


def number_column(found: Found, kind: ColumnType | None) -> Column:
    """Return a column of numbers.

    Args:
        found: its facts.
        kind: the type that is said; None takes the first whose rule fits.

    Raises:
        DataError: if an entry is no number, or not of the type that is said.
    """
    numbers = _required_numbers(found, kind or "real")
    whole = are_whole(numbers)
    if kind is None:
        kind = _kind_of(found, numbers, whole=whole)
    if kind in LEVEL_TYPES:
        return level_column(found, kind)
    _require_range(found, kind, numbers, whole=whole)
    column = made_column(found, kind, _range(numbers, whole=whole), numbers)
    decimals = 0 if whole else decimals_of(found.cells.values, found.decimal)
    said = found.said.decimals
    decimals = decimals if said is None else said
    return replace(column, decimals=decimals, decimal=found.decimal)


def made_column(found: Found, kind: ColumnType, why: str, numbers: np.ndarray) -> Column:
    """Return a column of numbers or dates with its likelihood and its origin."""
    likelihood = found.said.likelihood or _likelihood(kind, numbers)
    origin = _origin(kind, numbers, likelihood) if found.said.origin is None else found.said.origin
    _require_spread(found, kind, numbers)
    return Column(found.name, kind, likelihood=likelihood, origin=origin, why=why)


def are_whole(numbers: np.ndarray) -> bool:
    """Return whether all numbers are whole."""
    return bool((numbers == np.floor(numbers)).all())


def _required_numbers(found: Found, kind: ColumnType) -> np.ndarray:
    if found.numbers is None:
        found.require_clear_decimals()
        raise refused(
            found.name,
            f"found {listed(found.words)}; a {kind} needs numbers",
            f"say that they are missing: {_missing(found)}, or another type: "
            + option(found.name, "type", "category"),
        )
    return found.numbers


def _missing(found: Found) -> str:
    return option(found.name, "missing", found.words[:MOST_SHOWN])


def _kind_of(found: Found, numbers: np.ndarray, *, whole: bool) -> ColumnType:
    different = len(found.cells.values)
    if different == 2 and len(numbers) > 2 and (whole or found.cells.counts.min() > 1):
        return "binary"
    if whole and _are_few(found, numbers):
        return "ordinal"
    low, high = numbers.min(), numbers.max()
    if whole and low >= 0 and high < _EXACT and is_near_zero(numbers):
        return "count"
    return "positive" if low > 0 and is_log_normal(numbers) else "real"


def _are_few(found: Found, numbers: np.ndarray) -> bool:
    """Return whether whole numbers are few, and none is rare, unlike the largest counts."""
    counts = found.cells.counts
    enough = len(numbers) >= _ROWS_OF_WHOLE * len(counts)
    none_rare = bool(counts.min() >= _LEAST_WHOLE * counts.mean())
    return 3 <= len(counts) <= MOST_WHOLE and enough and none_rare


def _require_range(found: Found, kind: ColumnType, numbers: np.ndarray, *, whole: bool) -> None:
    low = float(numbers.min())
    wrong = None
    if kind == "count" and not (whole and low >= 0):
        wrong = next(x for x in numbers.tolist() if x < 0 or x != int(x))
    if kind == "positive" and low <= 0:
        wrong = low
    if wrong is not None:
        raise refused(
            found.name,
            f"found {wrong:g}; a {kind} is "
            + ("a whole number from 0" if kind == "count" else "above 0"),
            f"say another type: {option(found.name, 'type', 'real')}, or that it means missing: "
            + option(found.name, "missing", [wrong]),
        )


def _origin(kind: ColumnType, numbers: np.ndarray, likelihood: str) -> float:
    if kind == "date":
        return float(np.floor(numbers.min()))
    if kind == "count" or numbers.min() == numbers.max():
        return 0.0
    largest = float(np.abs(numbers).max())
    is_fine = largest * 2.0**-24 < _FINE * numbers.std()
    # a log-normal entry stays above 0
    return 0.0 if is_fine or likelihood == "log-normal" else _round(numbers)


def _require_spread(found: Found, kind: ColumnType, numbers: np.ndarray) -> None:
    spread = float(numbers.std())
    if kind != "count" and 0 < spread < 1 / LARGEST:
        raise refused(
            found.name,
            f"its values differ by {spread:g}, which float32 cannot square",
            "give it in another unit, or leave it out: " + option(found.name, "type", "ignore"),
        )


def _likelihood(kind: ColumnType, numbers: np.ndarray) -> str:
    """Return the likelihood of numbers by the rules of `shape`."""
    if kind == "count":
        return "negative-binomial" if is_overdispersed(numbers) else "poisson"
    if kind == "positive" and is_log_normal(numbers):
        return "log-normal"
    return "student-t" if is_heavy_tailed(numbers) else "gaussian"


def _range(numbers: np.ndarray, *, whole: bool) -> str:
    noun = "whole numbers" if whole else "numbers"
    form: Callable[[float], str] = "{:.0f}".format if whole else "{:g}".format
    return f"{noun} {form(numbers.min())} to {form(numbers.max())}"


def _round(numbers: np.ndarray) -> float:
    return float(np.round(np.median(numbers)))
