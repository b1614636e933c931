"""Tracking of a training: every tracker is told the same, until it fails."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec

from elboroom.data import Dataset
from elboroom.model.vae import VAE
from elboroom.runs.run import Run
from elboroom.runs.tracking.tracker import Status, Tracker, Value
from elboroom.training.metrics import EpochMetrics
from elboroom.training.state import TrainState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")


@dataclass
class _Told:
    """A tracker, and the step of the last epoch that it has."""

    tracker: Tracker
    last_step: int = 0
    failed: bool = False

    def tell(self, call: Callable[P, None], *values: P.args, **named: P.kwargs) -> None:
        """Call a method of the tracker; if that fails, warn, and tell it nothing more."""
        if self.failed:
            return
        try:
            call(*values, **named)
        except Exception as error:  # noqa: BLE001  # training is worth more than its record
            self.failed = True
            warnings.warn(
                f"{type(self.tracker).__name__} tracks no more, and training goes on: "
                f"{type(error).__name__}: {error}",
                stacklevel=2,
            )

    def start(self, config: dict[str, Value], name: str, step: int) -> None:
        """Start the tracker of a training that goes on from a step."""
        found = self.tracker.start(config, name)
        self.last_step = step if found is None else int(found)

    def log(self, metrics: EpochMetrics) -> None:
        """Log an epoch, unless the tracker has it."""
        if metrics.step > self.last_step:
            self.tracker.log(_numbers(metrics), metrics.step)
            self.last_step = metrics.step

    def log_figures(self, drawn: Callable[[], list[tuple[str, "Figure"]]], step: int) -> None:
        """Log figures, which are drawn here, so that an error ends the tracker alone."""
        for name, figure in drawn():
            self.tracker.figure(name, figure, step)


class Tracking:
    """The trackers of a run in training.

    Attributes:
        finished: True when training has reached its end.

    Args:
        run: the run.
        trackers: what is told of it.
    """

    def __init__(self, run: Run, trackers: Sequence[Tracker]) -> None:
        self._run = run
        self._told = [_Told(tracker) for tracker in trackers]
        self.finished = False

    def start(self, state: TrainState) -> None:
        """Start all trackers, and log the finished epochs to those that ask for them."""
        name = self._run.path.resolve().name
        for told in self._told:
            told.tell(told.start, _config_of(self._run), name, state.step)
        for metrics in state.history:
            self.log(metrics)

    def log(self, metrics: EpochMetrics) -> None:
        """Log an epoch."""
        for told in self._told:
            told.tell(told.log, metrics)

    def finish_training(self, model: VAE, state: TrainState, data: Dataset) -> None:
        """Log the figures of the trained model."""
        self.finished = True

        @cache  # all trackers get the same figures
        def drawn() -> list[tuple[str, "Figure"]]:
            from elboroom.runs.tracking.final_figures import final_figures  # loads matplotlib

            return list(final_figures(self._run, model, state, data))

        for told in self._told:
            told.tell(told.log_figures, drawn, state.step)

    def finish(self, status: Status) -> None:
        """End tracking."""
        for told in self._told:
            told.tell(told.tracker.finish, status)


@contextmanager
def tracked(run: Run, state: TrainState, trackers: Sequence[Tracker]) -> Iterator[Tracking]:
    """Track what is trained in this block, and tell the trackers how it ended."""
    tracking = Tracking(run, trackers)
    tracking.start(state)
    status: Status = "failed"
    try:
        yield tracking
        status = "done" if tracking.finished else "interrupted"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        tracking.finish(status)


def _config_of(run: Run) -> dict[str, Value]:
    """Return what config.toml holds, without tables."""
    environment, identity = run.environment, run.identity.to_dict()
    tables = asdict(run.config) | {"identity": identity, "environment": environment}
    return dict(_flat(tables))


def _flat(tables: dict[str, Any], start: str = "") -> Iterator[tuple[str, Value]]:
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{start}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{start}{name}", " ".join(map(str, value))
        else:
            yield f"{start}{name}", value


def _numbers(metrics: EpochMetrics) -> dict[str, float]:
    found = {name: value for name, value in asdict(metrics).items() if value is not None}
    return {name: float(value) for name, value in found.items() if name != "step"}
