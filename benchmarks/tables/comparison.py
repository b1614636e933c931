"""Errors, intervals and draws on the tables that packages ship, beside those of the peers."""

from collections.abc import Iterator
from itertools import chain, product

from benchmarks.results import Row
from benchmarks.tables import calibration, cases, errors
from benchmarks.tables.cases import Found
from benchmarks.tables.imputers import NAMES, OURS

_QUICK_TABLES, _QUICK_METHODS = ("iris", "wine"), (OURS, "mean", "knn", "ridge")


def rows(quick: bool) -> Iterator[Row]:
    """Run what is not on disk, and compare."""
    found = _quick() if quick else _full()
    return chain(errors.rows(found), calibration.rows(found))


def _quick() -> Found:
    some = [case for case in cases.of(0) if case.table in _QUICK_TABLES]
    return {(case, m): cases.scored(case, m) for case, m in product(some, _QUICK_METHODS)}


def _full() -> Found:
    """Return the scores of all methods in all cases that are theirs."""
    every = chain.from_iterable(cases.of(split) for split in range(cases.SPLITS))
    theirs = [(c, m) for c, m in product(every, NAMES) if c.split < cases.splits_of(m, c.table)]
    return {(case, method): cases.scored(case, method) for case, method in theirs}
