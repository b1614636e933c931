"""Rows of the errors of point imputations: ranks over all tables, and ratios on each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.results import Row
from benchmarks.tables import scores
from benchmarks.tables.cases import Found
from benchmarks.tables.imputers import NAMES, OURS
from benchmarks.tables.scores import Array

_PLACE, _HOPED_PLACE = 2.0, 1.0


@dataclass(frozen=True)
class Group:
    """The errors on one table under one pattern.

    Attributes:
        table: its name.
        pattern: how entries were hidden.
        errors: by method, for the splits that all methods ran that ran any; (S,).
    """

    table: str
    pattern: str
    errors: dict[str, Array]

    @property
    def splits(self) -> int:
        """S."""
        return len(self.errors[OURS])

    def ranks(self, methods: list[str]) -> Array:
        """Return the mean ranks over splits (M,), NaN for those that did not run."""
        none = np.full(self.splits, np.nan)
        by_split = np.stack([self.errors.get(method, none) for method in methods], axis=1)
        return scores.ranks(by_split).mean(axis=0)

    def beside_the_best(self) -> Row:
        """Show the error of ours over that of the best peer here."""
        of_peers = {m: found for m, found in self.errors.items() if m != OURS}
        best = min(of_peers, key=lambda method: of_peers[method].mean())
        what = f"{self.table}, {self.pattern}: error over that of the best peer, {NAMES[best]}"
        return Row(what, (self.errors[OURS] / of_peers[best]).tolist(), "×")


def rows(found: Found) -> Iterator[Row]:
    """Rank the methods, and set ours beside the best of the others on each table."""
    groups = grouped(found)
    yield from _ranks(groups)
    yield from (group.beside_the_best() for group in groups)
    yield from _published(found)


def grouped(found: Found) -> list[Group]:
    """Sort the errors by table and pattern."""
    names = dict.fromkeys((case.table, case.pattern) for case, _ in found)
    return [_group(found, *name) for name in names]


def _group(found: Found, table: str, pattern: str) -> Group:
    here = {k: s for k, s in found.items() if (k[0].table, k[0].pattern) == (table, pattern)}
    methods = dict.fromkeys(method for _, method in here)
    cases = dict.fromkeys(case for case, _ in here)
    shared = [case for case in cases if all((case, method) in here for method in methods)]
    errors = {m: np.array([here[case, m].error for case in shared]) for m in methods}
    return Group(table, pattern, errors)


def _ranks(groups: list[Group]) -> Iterator[Row]:
    """Average the ranks over splits, then over tables and patterns."""
    methods = [name for name in NAMES if any(name in group.errors for group in groups)]
    by_group = np.stack([group.ranks(methods) for group in groups])
    means, ran = np.nanmean(by_group, axis=0), (~np.isnan(by_group)).sum(axis=0)
    place = float(scores.ranks(means)[methods.index(OURS)])
    splits = sum(group.splits for group in groups)
    where = f"{len(groups)} tables × patterns, {splits} splits in all"
    yield Row(f"place by mean rank of the error, {where}", [place], "", _PLACE, _HOPED_PLACE)
    for number in np.argsort(means):
        what = f"mean rank of the error, {ran[number]} tables × patterns: {NAMES[methods[number]]}"
        yield Row(what, [float(means[number])], "")


def _published(found: Found) -> Iterator[Row]:
    """Show what the port of MIWAE reaches where its authors' notebook prints a number, 0.2867."""
    some = [
        s for (c, m), s in found.items() if m == "miwae" and _of_the_notebook(c.table, c.pattern)
    ]
    if some:
        what = "breast_cancer, mcar50: normalised MSE of MIWAE (0.287 in its authors' notebook)"
        yield Row(what, [score.error**2 for score in some], "")


def _of_the_notebook(table: str, pattern: str) -> bool:
    return (table, pattern) == ("breast_cancer", "mcar50")
