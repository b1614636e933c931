import math
from dataclasses import replace
from pathlib import Path

import pytest

from elboroom import Config, TrainState
from elboroom.config import CheckpointConfig
from elboroom.runs import autosave
from elboroom.runs.autosave import Autosave
from elboroom.runs.checkpoints.checkpoint import Checkpoint
from tests.support.checkpoint_cases import epoch, fresh


class Time:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Shelf:
    """In place of a run: what is kept, in order, as steps, and metrics as their epochs."""

    def __init__(self, often: CheckpointConfig, best: float = -math.inf) -> None:
        self.config, self.best, self.kept = Config(checkpoints=often), best, list[int | str]()

    def best_held_out_elbo(self, until: int) -> float:
        return self.best

    def record(self, metrics: object) -> None:
        self.kept.append("metrics")

    def save(self, model: object, state: TrainState) -> None:
        self.kept.append(state.step)

    def keep(self, checkpoint: Checkpoint) -> None:
        self.kept.append(checkpoint.step)


class Training:
    """One that is kept on a `Shelf` by a `Autosave`."""

    def __init__(self, shelf: Shelf, begun_at: int = 0) -> None:
        self.model, self.state = fresh()
        self.state.step = begun_at
        self.keeper = Autosave(shelf, self.model, self.state)  # type: ignore[arg-type]

    def step(self) -> None:
        self.state.step += 1
        self.keeper.on_step(self.state)

    def epoch(self, elbo: float | None = None) -> None:
        self.state.step += 1
        number = len(self.state.history) + 1
        self.state.history.append(replace(epoch(self.state.step, elbo), epoch=number))
        self.keeper.on_epoch(self.state)

    def end(self) -> None:
        self.keeper.save(self.state)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(autosave, "time", time)
    return time


def test_by_default_half_a_minute_lies_between_two_checkpoints(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig()))
    for time.now in (129.0, 131.0, 160.0, 162.0):
        training.step()
    assert shelf.kept == [2, 4]


def test_a_late_epoch_is_kept_after_its_metrics(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig()))
    training.epoch()
    time.now += 31
    training.epoch()
    assert shelf.kept == ["metrics", "metrics", 2]


def test_every_so_many_epochs_are_kept_whatever_the_clock_says(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig(math.inf, checkpoint_epochs=2)))
    for _ in range(5):
        time.now += 1e9
        training.step()
        training.epoch()
    assert [step for step in shelf.kept if step != "metrics"] == [4, 8]


def test_the_end_is_kept_once(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig(checkpoint_epochs=1)))
    training.epoch()
    training.end()
    training.step()
    training.end()
    assert shelf.kept == ["metrics", 1, 2]


def test_what_was_loaded_is_not_written_again(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig()), begun_at=7)
    training.end()
    assert shelf.kept == []


def test_the_best_since_the_last_checkpoint_is_kept_with_the_next(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig()))
    for elbo in (-5.0, -3.0, None, -4.0, math.nan, math.inf):
        training.epoch(elbo)
    training.end()
    assert shelf.kept[6:] == [2, 6]
    training.epoch(-3.5)  # worse than what is kept
    training.end()
    assert shelf.kept[8:] == ["metrics", 7]


def test_the_best_that_is_the_newest_is_written_once(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig()))
    training.epoch(-5.0)
    training.end()
    assert shelf.kept == ["metrics", 1]


def test_only_what_is_better_than_what_the_run_has_is_the_best(time: Time):
    training = Training(shelf := Shelf(CheckpointConfig(), best=-4.0))
    for elbo in (-5.0, -3.0, -6.0):
        training.epoch(elbo)
    training.end()
    assert shelf.kept[3:] == [2, 3]


def test_the_best_is_kept_as_it_was(tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch):
    kept = list[Checkpoint]()
    monkeypatch.setattr(Shelf, "keep", lambda shelf, checkpoint: kept.append(checkpoint))
    training = Training(Shelf(CheckpointConfig()))
    training.epoch(-5.0)
    before = autosave.capture(training.model, training.state)
    training.model.decoder.get_parameter("trunk.2.bias").data += 1
    training.epoch(-6.0)
    training.end()
    assert kept == [before]


def test_within_an_epoch_weights_that_are_not_finite_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
):
    clock = Time()
    monkeypatch.setattr(autosave, "time", clock)
    training = Training(shelf := Shelf(CheckpointConfig()))
    clock.now += 31
    weights = next(training.model.parameters()).detach()
    weights[0] = math.nan
    training.step()
    assert shelf.kept == []
    weights[0] = 0.5
    training.step()
    assert shelf.kept == [2]
