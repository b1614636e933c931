"""A table, a pattern of missingness and a split: what each imputer makes of it, kept on disk."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.peers.table_task import Filled, Task
from benchmarks.tables import data_sets, imputers, missingness, scores
from benchmarks.tables.memory import known, remembered

DRAWS = 20
SPLITS = 5
_LONG = ("anes96", "fair", "randhie", "digits")
_SLOW = ("trees", "mice", "miceforest", "miwae")
"""Peers that run one split of the long tables, which take hours."""
_TOO_LONG = {("miceforest", "digits")}
"""An hour for each case: not run."""


@dataclass(frozen=True)
class Case:
    """A complete table, a pattern by which its entries are hidden, and the number of the draw."""

    table: str
    pattern: str
    split: int

    def score(self, method: str) -> "Score":
        """Hide, fill, and compare with the truth."""
        table = data_sets.load(self.table)
        hidden = missingness.mask(table.x, self.pattern, self.split)
        seen = np.where(hidden, np.nan, table.x)
        task = Task(seen, table.types, table.levels, DRAWS, self.split)
        [filled] = imputers.fill(method, [task])
        return _score(table, hidden, filled)


@dataclass(frozen=True)
class Score:
    """The quality of an imputer in a case; see `scores`.

    Attributes:
        error: of the point imputations.
        inside_50: share of hidden numbers in their central 50 % intervals; NaN if nothing is drawn.
        inside_90: the same of 90 %.
        energy: the energy score of the draws; NaN if nothing is drawn.
        seconds: the time that it took, with one thread.
    """

    error: float
    inside_50: float
    inside_90: float
    energy: float
    seconds: float


Found = dict[tuple[Case, str], Score]


def _score(table: data_sets.Table, hidden: scores.Mask, filled: Filled) -> Score:
    error = scores.error(table.x, filled.mean, hidden, table.types)
    if not len(filled.draws):
        return Score(error, np.nan, np.nan, np.nan, filled.seconds)
    of_draws = table.x, filled.draws, hidden, table.types
    inside_50, inside_90 = (scores.coverage(*of_draws, level) for level in (0.5, 0.9))
    energy = scores.energy_score(*of_draws)
    return Score(error, inside_50, inside_90, energy, filled.seconds)


def of(split: int) -> Iterator[Case]:
    """Return all cases of a split."""
    for table in data_sets.NAMES:
        for pattern in missingness.PATTERNS:
            yield Case(table, pattern, split)


def splits_of(method: str, table: str) -> int:
    """Return how many splits of a table a method runs."""
    if (method, table) in _TOO_LONG:
        return 0
    return 1 if method in _SLOW and table in _LONG else SPLITS


def measured(case: Case, method: str) -> Score | None:
    """Return the score of a case that is on the disk; None if it is not."""
    found = known(method, asdict(case))
    return None if found is None else Score(**found)


def scored(case: Case, method: str) -> Score:
    """Return the score of a case, from the disk if it is there."""
    return Score(**remembered(method, asdict(case), lambda: asdict(case.score(method))))
