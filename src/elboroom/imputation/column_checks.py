"""How far the imputed entries of each column can be trusted, by entries that were withheld."""

import math
from dataclasses import dataclass

import torch

from elboroom.config import MethodName
from elboroom.data import Part
from elboroom.data.summary import counted
from elboroom.evaluation.entries import EntryScores, score_entries
from elboroom.imputation.ensemble import Ensemble
from elboroom.imputation.imputation import LEAST_DRAWS, impute
from elboroom.randomness import stream

_MOST_ROWS = 4_000  # that are imputed for the checks, evenly spaced
_LEAST_COUNT = 10  # withheld entries, of which an error says something
_GAIN = 0.98  # of the usual error: a smaller gain may be chance
_ERRORS = 3.0  # standard errors that a share may be off by chance
_LEAST_OFF = 0.05  # a share that is off by less does no harm


@dataclass(frozen=True)
class ColumnCheck:
    """The scores of the withheld entries of one column; a number is None where it is not known.

    Attributes:
        name: the name of the column.
        likelihood: its likelihood.
        count: the number of withheld entries.
        error: of numbers the root mean squared error, in the column's units; of levels the share of
            wrong ones.
        usual: the same error of the column's mean, or of its most frequent level.
        coverage_50: share of entries in their central 50 % intervals.
        coverage_90: the same for 90 %.
        confidence: of levels the mean probability of the one that is filled in.
    """

    name: str
    likelihood: str
    count: int
    error: float | None
    usual: float | None
    coverage_50: float | None
    coverage_90: float | None
    confidence: float | None

    @property
    def has_levels(self) -> bool:
        """True if the error is a share of wrong levels."""
        return self.confidence is not None

    @property
    def doubts(self) -> list[str]:
        """The reasons not to trust what is filled in, each a short phrase; empty if none."""
        if self.count < _LEAST_COUNT or self.error is None or self.usual is None:
            count = counted(self.count, "entry", "entries")
            return [f"only {count} could be withheld, so its error is not known"]
        found = list[str]()
        if self.error > _GAIN * self.usual:
            usual = "most frequent level" if self.has_levels else "mean"
            found.append(f"the other columns say little of it: no better than its {usual}")
        if self.coverage_90 is not None and self._is_off(self.coverage_90, 0.9):
            found.append(f"its 90 % intervals cover {100 * self.coverage_90:.0f} %")
        right = 1 - self.error
        if self.confidence is not None and self._is_off(right, self.confidence):
            found.append(
                f"its levels have a mean probability of {100 * self.confidence:.0f} %, and "
                f"{100 * right:.0f} % are right"
            )
        return found

    def _is_off(self, found: float, expected: float) -> bool:
        error = math.sqrt(expected * (1 - expected) / self.count)
        return abs(found - expected) > max(_LEAST_OFF, _ERRORS * error)


def check_columns(
    ensemble: Ensemble,
    part: Part,
    names: tuple[str, ...],
    *,
    seed: int,
    method: MethodName | None = None,
) -> list[ColumnCheck]:
    """Impute the withheld entries of a part, and score each column by them.

    Args:
        ensemble: models of the table.
        part: a part with withheld entries, such as the test part.
        names: of the columns, (D,).
        seed: seed of the draws.
        method: method of inference, as `impute` takes it.
    """
    assert part.withheld is not None
    rows = part.withheld.any(1).nonzero()[:, 0]
    rows = rows[:: max(1, math.ceil(len(rows) / _MOST_ROWS))]
    x, withheld = part.x[rows], part.withheld[rows]
    seen = ~x.isnan() & ~withheld
    if not len(rows):
        x, withheld, seen = part.x[:1], part.withheld[:1], ~part.x[:1].isnan()
    found = impute(ensemble, x, seen, draws=LEAST_DRAWS, seed=seed, method=method)
    scores = score_entries(
        x,
        withheld,
        seen,
        found.mean,
        found.draws,
        is_level=ensemble.is_level,
        is_ordered=ensemble.is_ordered,
        generator=stream(seed, "ties"),
    )
    return [
        _check(name, likelihood, scores, place)
        for place, (name, likelihood) in enumerate(zip(names, ensemble.columns, strict=True))
    ]


def _check(name: str, likelihood: str, scores: EntryScores, place: int) -> ColumnCheck:
    def known(values: torch.Tensor) -> float | None:
        value = values[place].item()
        return None if math.isnan(value) else value

    return ColumnCheck(
        name,
        likelihood,
        int(scores.count[place]),
        known(scores.error),
        known(scores.usual),
        coverage_50=known(scores.coverage[0]),
        coverage_90=known(scores.coverage[1]),
        confidence=known(scores.confidence),
    )
