"""Rows of the errors of point imputations: ranks over all tables, and ratios on each."""

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.results import Row
from benchmarks.tables import scores
from benchmarks.tables.cases import Case, Found
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


def rows(found: Found) -> Iterator[Row]:
    """Rank the methods, and set ours beside the best of the others on each table.

    The ranks of all are on the splits that all ran. Where some ran fewer splits than ours, the
    others are ranked without them, too, on all splits.
    """
    yield from _ranks(grouped(found), "")
    of_all = _with_all_splits(found)
    if fewer := [NAMES[m] for m in NAMES if m not in of_all and _cases(found, m)]:
        some = {key: score for key, score in found.items() if key[1] in of_all}
        yield from _ranks(grouped(some), f"without {' and '.join(fewer)}, ")
    for table, pattern in dict.fromkeys((case.table, case.pattern) for case, _ in found):
        yield _beside_the_best(found, table, pattern)
    yield from _published(found)


def _cases(found: Found, method: str) -> list[Case]:
    return [case for case, m in found if m == method]


def _with_all_splits(found: Found) -> list[str]:
    """Return the methods that ran all splits, that ours ran, of every case that they ran."""

    def splits(method: str) -> Counter[tuple[str, str]]:
        return Counter((case.table, case.pattern) for case in _cases(found, method))

    ours = splits(OURS)
    return [m for m in NAMES if all(ours[name] == n for name, n in splits(m).items())]


def _beside_the_best(found: Found, table: str, pattern: str) -> Row:
    """Show the errors of ours over those of the best peer, in the splits that the peer ran."""
    ratios = dict[str, list[float]]()
    for (case, method), score in found.items():
        if (case.table, case.pattern) == (table, pattern) and method != OURS:
            ratio = found[case, OURS].error / score.error
            ratios[method] = [*ratios.get(method, []), ratio]
    best = max(ratios, key=lambda method: statistics.mean(ratios[method]))
    what = f"{table}, {pattern}: error over that of the best peer, {NAMES[best]}"
    return Row(what, ratios[best], "×")


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


def _ranks(groups: list[Group], which: str) -> Iterator[Row]:
    """Average the ranks over splits, then over tables and patterns.

    `which` says in words which methods are ranked; nothing says all.
    """
    methods = [name for name in NAMES if any(name in group.errors for group in groups)]
    by_group = np.stack([group.ranks(methods) for group in groups])
    means, ran = np.nanmean(by_group, axis=0), (~np.isnan(by_group)).sum(axis=0)
    place = float(scores.ranks(means)[methods.index(OURS)])
    splits = sum(group.splits for group in groups)
    where = f"{which}{len(groups)} tables × patterns, {splits} splits in all"
    yield Row(f"place by mean rank of the error, {where}", [place], "", _PLACE, _HOPED_PLACE)
    for number in np.argsort(means):
        name = NAMES[methods[number]]
        what = f"mean rank of the error, {which}{ran[number]} tables × patterns: {name}"
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
