"""The run folder: everything about a run, in files that people and programs can read."""

import json
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import torch

from elboroom.config import Config
from elboroom.config.typed_tables import read
from elboroom.data import Dataset, load_data
from elboroom.device import resolve_device
from elboroom.errors import DiskError, RunError, UsageError
from elboroom.model.likelihoods import likelihood_of, require_support
from elboroom.model.vae import VAE, least_weights
from elboroom.randomness import stream
from elboroom.runs import atomic, lock
from elboroom.runs.checkpoints import checkpoint as checkpoints
from elboroom.runs.checkpoints.checkpoint import Checkpoint
from elboroom.runs.config_file import CONFIG, read_config, write_config
from elboroom.runs.environment import warn_of_changes
from elboroom.runs.results import Results
from elboroom.training.initial_model import new_model
from elboroom.training.schedule import Schedule
from elboroom.training.state import EpochMetrics, TrainState, new_state
from elboroom.untrusted import parse_json

RUNS = Path("runs")
"""Where runs go unless another place is named."""
METRICS = "metrics.jsonl"


class Run(Results):
    """A run folder that exists. `Run.create` makes one, `Run(path)` opens one.

    Raises:
        RunError: `path` is no run, or its config cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(Path(path))
        self._unwritten: list[str] = []
        self.config, self.identity, self.event_shape, self.environment = read_config(self.path)

    @classmethod
    def create(cls, path: str | Path, config: Config, data: Dataset) -> "Run":
        """Make the folder and write its config.

        Raises:
            RunError: something is in the way, or the folder cannot be made or locked.
            DiskError: it cannot be written.
            DataError: the data has values that the likelihood cannot take.
        """
        path = Path(path)
        for part in (data.train, data.test):
            require_support(likelihood_of(config.model), part, data.identity.source)
        with atomic.writing(path):
            _require_free(path)
            atomic.make_folder(path, parents=True)
            with lock.locked(path):
                _require_free(path)  # of another process that makes the same
                write_config(path, config, data)
        return cls(path)

    def locked(self) -> AbstractContextManager[None]:
        """The lock that a process holds while it trains the run; reading needs none.

        Raises:
            RunError: another process holds it.
        """
        return lock.locked(self.path)

    def load_data(self) -> Dataset:
        """The data that the run was made from.

        Raises:
            IncomparableError: the data is no longer what it was.
        """
        data = load_data(self.config.data)
        self.identity.require_same(
            data.identity,
            what=f"the data of {self.path} has changed since it was trained",
            fix=f"put back the data that it was trained on at {self.config.data.source}",
        )
        return data

    def load_model(self, *, best: bool = False) -> VAE:
        """The model of the newest whole checkpoint, bit for bit, or of the best by held-out ELBO.

        Raises:
            RunError: there is none, or the config is of networks that are larger than it.
        """
        return self.load_model_and_step(best=best)[0]

    def load_model_and_step(self, *, best: bool = False) -> tuple[VAE, int]:
        """As `load_model`, with the step of the checkpoint.

        Raises:
            RunError: as there.
        """
        self._require_room()
        # the checkpoint brings what started at the data
        config = replace(self.config.model, data_bias=False)
        vamp = config.prior == "vamp"
        images = torch.zeros(config.components, *self.event_shape) if vamp else None
        generator = stream(self.config.train.seed, "weights")
        model = VAE.from_config(config, self.event_shape, generator=generator, images=images)
        step = checkpoints.load(self._checkpoints, model, best=best)
        return model.eval(), step

    def _require_room(self) -> None:
        """That a checkpoint may have the weights of the config, before a model of it is made."""
        weights = least_weights(self.config.model, self.event_shape)
        checkpoints.require_room(self._checkpoints, weights)

    def new_training(self, data: Dataset) -> tuple[VAE, TrainState]:
        """The model and the state before the first step, on the device of the config."""
        model = new_model(self.config, data).to(resolve_device(self.config.train.device))
        return model, new_state(model)

    def load_training(self, data: Dataset) -> tuple[VAE, TrainState]:
        """The model and the state to go on from; metrics after that step are dropped.

        It warns of those that are missing before it, or cannot be read.

        Raises:
            RunError: there are checkpoints, and none can be used.
            DiskError: the metrics cannot be written.
        """
        warn_of_changes(self.path, self.environment, self.config.train)
        atomic.restore_names(self._checkpoints)
        saved = checkpoints.newest_first(self._checkpoints)  # none if it stopped before its first
        if saved:
            self._require_room()
        model, state = self.new_training(data)
        if saved:
            checkpoints.load(self._checkpoints, model, state)
        with self.reading(METRICS):
            found = list(self._metrics())
        state.history = [m for m in found if m is not None and m.step <= state.step]
        per_epoch = Schedule(self.config.train, data.train).steps_per_epoch
        self._warn_of_lost(state, per_epoch, garbled=None in found)
        lines = "".join(_line(m) + "\n" for m in state.history)
        atomic.write_file(self.path / METRICS, lines.encode())
        return model, state

    def _metrics(self) -> Iterator[EpochMetrics | None]:
        """Of each line, None if it cannot be read; what follows a line without end is not read."""
        with suppress(ValueError):
            for line in atomic.whole_lines(self.path / METRICS):
                try:
                    yield _read(line)
                except (ValueError, UsageError):
                    yield None
            return
        yield None

    def _warn_of_lost(self, state: TrainState, steps_per_epoch: int, *, garbled: bool) -> None:
        """Warn of finished epochs that the history lacks, by their bounds: there may be many."""
        ends = [0, *sorted({m.epoch for m in state.history}), state.step // steps_per_epoch + 1]
        lost = [(a + 1, b - 1) for a, b in pairwise(ends) if b - a > 1]
        if lost:
            told = ", ".join(f"{a} to {b}" if a < b else str(a) for a, b in lost)
            why = ", since not all of its lines can be read" if garbled else ""
            warnings.warn(
                f"{self.path / METRICS} has lost these epochs: {told}{why}. Steps do not depend on "
                "them, and training goes on; curves and --patience go without them.",
                stacklevel=3,
            )

    def save(self, model: VAE, state: TrainState) -> None:
        """`keep` a checkpoint of now."""
        self.keep(checkpoints.capture(model, state))

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, after any metrics that are not written yet.

        The newest two are kept, and the best.

        Raises:
            DiskError: it cannot be written; what the run has is told, and is as it was.
        """
        with self._telling_what_is_kept():
            self._write_metrics()
            checkpoints.keep(self._checkpoints, checkpoint)

    def best_held_out_elbo(self, until: int) -> float:
        """The largest of a checkpoint up to that step, nats per image; -inf without any."""
        return checkpoints.best_held_out_elbo(self._checkpoints, until)

    def record(self, metrics: EpochMetrics) -> None:
        """Append one epoch's metrics; where that fails, warn, and write them with what follows."""
        self._unwritten.append(_line(metrics))
        try:
            self._write_metrics()
        except DiskError as error:
            warnings.warn(
                f"metrics wait to be written, and training goes on: {error.what}: {error.why}",
                stacklevel=2,
            )

    def _write_metrics(self) -> None:
        if self._unwritten:
            atomic.append_line(self.path / METRICS, "\n".join(self._unwritten))
            self._unwritten.clear()

    @contextmanager
    def _telling_what_is_kept(self) -> Iterator[None]:
        """What cannot be written within is told together with what the run has."""
        try:
            yield
        except DiskError as error:
            kept = checkpoints.newest_first(self._checkpoints)
            start = f"its checkpoint {kept[0].name}" if kept else "its start"
            fix = f"{error.fix}; `elboroom train --resume {self.path}` then goes on from {start}"
            raise DiskError(error.what, why=error.why, fix=fix) from error

    def history(self) -> list[EpochMetrics]:
        """The metrics of the epochs so far.

        Raises:
            RunError: a line of them is none of metrics.
        """
        with self.reading(METRICS):
            return [_read(line) for line in atomic.whole_lines(self.path / METRICS)]


def _line(metrics: EpochMetrics) -> str:
    return json.dumps(asdict(metrics))


def _read(line: bytes) -> EpochMetrics:
    return read(EpochMetrics, parse_json(line, finite=False))  # a held-out ELBO may have been NaN


def _require_free(path: Path) -> None:
    """That a new run may have `path`, where one may have been killed before it had a config."""
    leftovers = {*lock.FILES, *(f".{name}.part" for name in (*lock.FILES, CONFIG))}
    if path.is_dir() and {inner.name for inner in path.iterdir()} <= leftovers:
        return
    if path.exists():
        raise RunError(
            f"{path} is in the way",
            why="a new run never writes over an old one",
            fix=f"give another --out, or go on with `elboroom train --resume {path}`",
        )
