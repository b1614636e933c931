"""Errors, intervals and draws on the tables that packages ship, beside those of the peers."""

import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.results import Row
from benchmarks.tables import cases, imputers, scores
from benchmarks.tables.cases import Case, Score
from benchmarks.tables.imputers import NAMES, OURS

Found = dict[tuple[Case, str], Score]
_QUICK_TABLES, _QUICK_METHODS = ("iris", "wine"), (OURS, "mean", "knn", "ridge")
_PLACE, _HOPED_PLACE = 2.0, 1.0
_SHARE, _HOPED_SHARE = 2 / 3, 1.0
_LEVEL, _OFF, _HOPED_OFF = 90.0, 5.0, 2.0


def rows(quick: bool) -> Iterator[Row]:
    """Run what is not on disk, and compare."""
    found = _quick() if quick else _full()
    yield from _ranks(found)
    yield from _errors(found)
    yield from _intervals(found)
    yield from _draws(found)
    yield from _published(found)


def _quick() -> Found:
    some = [case for case in cases.of(0) if case.table in _QUICK_TABLES]
    return {(case, m): cases.scored(case, m) for m in _QUICK_METHODS for case in some}


def _full() -> Found:
    """Return the scores of all methods in all cases that are theirs."""
    return {
        (case, method): cases.scored(case, method)
        for split in range(cases.SPLITS)
        for case in cases.of(split)
        for method in NAMES
        if split < cases.splits_of(method, case.table)
    }


def _methods(found: Found) -> list[str]:
    return list(dict.fromkeys(method for _, method in found))


def _shared(found: Found) -> list[Case]:
    """Return the cases that all methods ran."""
    methods = _methods(found)
    every = dict.fromkeys(case for case, _ in found)
    return [case for case in every if all((case, method) in found for method in methods)]


def _ranks(found: Found) -> Iterator[Row]:
    """Rank the methods in each case that all ran; average over splits, then over all else."""
    methods, shared = _methods(found), _shared(found)
    errors = np.array([[found[case, method].error for method in methods] for case in shared])
    groups = _groups(shared)
    means = np.stack([scores.ranks(errors[rows]).mean(axis=0) for rows in groups.values()])
    by_method = dict(zip(methods, means.mean(axis=0).tolist(), strict=True))
    place = sorted(by_method.values()).index(by_method[OURS]) + 1
    many = f"{len(groups)} tables × patterns, {len(shared)} splits in all"
    yield Row(f"place by mean rank of the error, {many}", [place], "", _PLACE, _HOPED_PLACE)
    for method, rank in sorted(by_method.items(), key=lambda item: item[1]):
        yield Row(
            f"mean rank of the error among {len(methods)}, {many}: {NAMES[method]}", [rank], ""
        )


def _groups(some: Sequence[Case]) -> dict[tuple[str, str], list[int]]:
    """Return the numbers of the cases of each table and pattern."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, case in enumerate(some):
        groups.setdefault((case.table, case.pattern), []).append(number)
    return groups


def _errors(found: Found) -> Iterator[Row]:
    """Show the error of ours over that of the peer that is best on the table and pattern."""
    for (table, pattern), numbers in _groups(shared := _shared(found)).items():
        errors = {
            method: [found[shared[number], method].error for number in numbers]
            for method in _methods(found)
        }
        ours = errors.pop(OURS)
        best = min(errors, key=lambda method: statistics.mean(errors[method]))
        ratios = [a / b for a, b in zip(ours, errors[best], strict=True)]
        yield Row(f"{table}, {pattern}: error over that of {NAMES[best]}", ratios, "×")


def _intervals(found: Found) -> Iterator[Row]:
    """Show how many hidden numbers of each table are inside their intervals."""
    for table in dict.fromkeys(case.table for case, _ in found):
        for level in (50, 90):
            inside = _mean(found, table, OURS, f"inside_{level}")
            yield Row(
                f"{table}: {level} % intervals of hidden numbers hold them", [100 * inside], "%"
            )
        off = abs(100 * _mean(found, table, OURS, "inside_90") - _LEVEL)
        what = f"{table}: 90 % intervals, distance from 90 %"
        yield Row(what, [off], "percentage points", _OFF, _HOPED_OFF)
        yield from _others(found, table)


def _others(found: Found, table: str) -> Iterator[Row]:
    for method in _drawing(found):
        inside = 100 * _mean(found, table, method, "inside_90")
        what = f"{table}: 90 % intervals of hidden numbers hold them, {NAMES[method]}"
        yield Row(what, [inside], "%")


def _draws(found: Found) -> Iterator[Row]:
    """Compare the energy scores of the draws, for each table the mean over patterns and splits."""
    better: dict[str, list[bool]] = {method: [] for method in _drawing(found)}
    for table in dict.fromkeys(case.table for case, _ in found):
        for method, wins in better.items():
            ratio = _energy_ratio(found, table, method)
            wins.append(ratio < 1)
            yield Row(f"{table}: energy score of draws over that of {NAMES[method]}", [ratio], "×")
    for method, wins in better.items():
        what = f"share of {len(wins)} tables with a better energy score than {NAMES[method]}"
        bounds = (_SHARE, _HOPED_SHARE) if method != "miwae" else (None, None)
        yield Row(what, [statistics.mean(wins)], "", *bounds, at_least=True)


def _drawing(found: Found) -> list[str]:
    return [method for method in imputers.DRAWING if method in _methods(found)]


def _energy_ratio(found: Found, table: str, method: str) -> float:
    both = [c for c, m in found if m == method and c.table == table and (c, OURS) in found]
    energy = [statistics.mean(found[case, m].energy for case in both) for m in (OURS, method)]
    return energy[0] / energy[1]


def _mean(found: Found, table: str, method: str, score: str) -> float:
    some = [getattr(s, score) for (c, m), s in found.items() if (c.table, m) == (table, method)]
    return statistics.mean(some)


def _published(found: Found) -> Iterator[Row]:
    """Show what the port of MIWAE reaches where its authors' notebook prints a number, 0.2867."""
    some = [s for (c, m), s in found.items() if m == "miwae" and _of_the_notebook(c)]
    if some:
        what = "breast_cancer, mcar50: normalised MSE of MIWAE (0.287 in its authors' notebook)"
        yield Row(what, [score.error**2 for score in some], "")


def _of_the_notebook(case: Case) -> bool:
    return (case.table, case.pattern) == ("breast_cancer", "mcar50")
