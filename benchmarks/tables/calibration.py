"""Rows of the draws: how often their intervals hold the truth, and their energy scores."""

import statistics
from collections.abc import Iterator

from benchmarks.results import Row
from benchmarks.tables import imputers
from benchmarks.tables.cases import Case, Found
from benchmarks.tables.imputers import NAMES, OURS

_LEVEL, _OFF, _HOPED_OFF = 90.0, 5.0, 2.0
_SHARE, _HOPED_SHARE = 2 / 3, 1.0
_JUDGED = ("mice", "miceforest")


def rows(found: Found) -> Iterator[Row]:
    """Show the intervals on each table, then the energy scores."""
    for table in dict.fromkeys(case.table for case, _ in found):
        yield from _intervals(found, table)
    for method in imputers.DRAWING:
        yield from _energy(found, method)


def _intervals(found: Found, table: str) -> Iterator[Row]:
    """Show how many hidden numbers of a table are inside their intervals."""
    ours = _inside(found, table, OURS)
    half, inside = (100 * statistics.mean(levels) for levels in zip(*ours, strict=True))
    yield Row(f"{table}: 50 % intervals hold hidden numbers, elboroom", [half], "%")
    yield Row(f"{table}: 90 % intervals hold hidden numbers, elboroom", [inside], "%")
    off = f"{table}: 90 % intervals, distance from 90 %, elboroom"
    yield Row(off, [abs(inside - _LEVEL)], "percentage points", _OFF, _HOPED_OFF)
    for method in imputers.DRAWING:
        if of_peer := _inside(found, table, method):
            what = f"{table}: 90 % intervals hold hidden numbers, {NAMES[method]}"
            yield Row(what, [100 * statistics.mean(wide for _, wide in of_peer)], "%")


def _inside(found: Found, table: str, method: str) -> list[tuple[float, float]]:
    """Return the shares inside 50 % and 90 % intervals, in each case that the method ran."""
    of_method = [s for (c, m), s in found.items() if (c.table, m) == (table, method)]
    return [(score.inside_50, score.inside_90) for score in of_method]


def _energy(found: Found, method: str) -> Iterator[Row]:
    """Compare energy scores, for each table the mean over the cases that the method ran."""
    theirs = [c for c, m in found if m == method]
    ratios = {
        name: _ratio(found, theirs, name, method) for name in dict.fromkeys(c.table for c in theirs)
    }
    for table, ratio in ratios.items():
        yield Row(f"{table}: energy score of draws over that of {NAMES[method]}", [ratio], "×")
    if ratios:
        better = statistics.mean(ratio < 1 for ratio in ratios.values())
        what = f"share of {len(ratios)} tables with a better energy score than {NAMES[method]}"
        bounds = (_SHARE, _HOPED_SHARE) if method in _JUDGED else (None, None)
        yield Row(what, [better], "", *bounds, at_least=True)


def _ratio(found: Found, theirs: list[Case], table: str, method: str) -> float:
    here = [case for case in theirs if case.table == table]
    ours, other = (statistics.mean(found[c, m].energy for c in here) for m in (OURS, method))
    return ours / other
