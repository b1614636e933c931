"""The progress of a run: the metrics of its epochs, and its evaluation."""

from typing import Any

import msgspec

from elboroom.explorer.api.requests import Nothing
from elboroom.explorer.explored_run import ExploredRun
from elboroom.runs.lock import is_held


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of an epoch, in nats per row."""

    epoch: int
    step: int
    elbo: float
    reconstruction: float
    kl: float
    bound: float
    beta: float
    learning_rate: float
    held_out_elbo: float | None
    images_per_second: float


class History(msgspec.Struct, frozen=True):
    """The metrics of all epochs so far.

    Attributes:
        live: true while the run is being trained.
        held_out: name of the part that training is watched by.
        epochs: the oldest first.
    """

    live: bool
    held_out: str
    epochs: list[Epoch]


class StoredEvaluation(msgspec.Struct, frozen=True):
    """The evaluation that `elboroom evaluate` wrote; null before it ran."""

    evaluation: dict[str, Any] | None


def history(explored: ExploredRun, request: Nothing) -> History:
    """Read the metrics of the run anew."""
    run = explored.run
    epochs = [msgspec.convert(vars(m), Epoch, from_attributes=True) for m in run.metrics.history()]
    watched_by = "withheld" if run.config.data.withhold else "held-out"
    return History(is_held(run.path), watched_by, epochs)


def evaluation(explored: ExploredRun, request: Nothing) -> StoredEvaluation:
    """Read the evaluation of the run."""
    return StoredEvaluation(explored.run.results.read_evaluation())
