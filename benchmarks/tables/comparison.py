"""Errors, intervals and draws on the tables that packages ship, beside those of the peers."""

from collections.abc import Iterator
from itertools import chain, product

from benchmarks.results import Row
from benchmarks.tables import calibration, cases, errors
from benchmarks.tables.cases import Found
from benchmarks.tables.imputers import NAMES, OURS

_QUICK_TABLES, _QUICK_METHODS = ("iris", "wine"), (OURS, "mean", "knn", "ridge")


def rows(quick: bool) -> Iterator[Row]:
    """Compare what was measured; `quick` measures two small tables."""
    found = _quick() if quick else _full()
    return chain(errors.rows(found), calibration.rows(found))


def _quick() -> Found:
    some = [case for case in cases.of(0) if case.table in _QUICK_TABLES]
    return {(case, m): cases.scored(case, m) for case, m in product(some, _QUICK_METHODS)}


def _full() -> Found:
    """Return the scores that `python -m benchmarks.tables` has measured, in cases that ours ran.

    Raises:
        RuntimeError: if it has measured none of ours.
    """
    every = chain.from_iterable(cases.of(split) for split in range(cases.SPLITS))
    ours = [case for case in every if cases.measured(case, OURS) is not None]
    if not ours:
        raise RuntimeError("no case of elboroom is measured: run python -m benchmarks.tables first")
    pairs = {pair: cases.measured(*pair) for pair in product(ours, NAMES)}
    return {pair: score for pair, score in pairs.items() if score is not None}
