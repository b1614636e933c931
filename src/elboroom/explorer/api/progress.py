"""The progress of a run: the metrics of its epochs, and its evaluation."""

from typing import Any

import msgspec

from elboroom.explorer.api.requests import Nothing
from elboroom.explorer.explored_run import ExploredRun
from elboroom.runs.lock import is_held
from elboroom.training.metrics import EpochMetrics


class History(msgspec.Struct, frozen=True):
    """The metrics of all epochs so far.

    Attributes:
        live: true while the run is being trained.
        held_out: name of the part that training is watched by.
        epochs: the oldest first.
    """

    live: bool
    held_out: str
    epochs: list[EpochMetrics]


class StoredEvaluation(msgspec.Struct, frozen=True):
    """The evaluation that `elboroom evaluate` wrote; null before it ran."""

    evaluation: dict[str, Any] | None


def history(explored: ExploredRun, request: Nothing) -> History:
    """Read the metrics of the run anew."""
    run = explored.run
    watched_by = "withheld" if run.config.data.withhold else "held-out"
    return History(is_held(run.path), watched_by, run.metrics.history())


def evaluation(explored: ExploredRun, request: Nothing) -> StoredEvaluation:
    """Read the evaluation of the run."""
    return StoredEvaluation(explored.run.results.read_evaluation())
