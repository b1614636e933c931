import math
from dataclasses import replace
from pathlib import Path

import pytest

from elboroom import Config
from elboroom.config import CheckpointConfig
from elboroom.runs import autosave
from elboroom.runs.autosave import Autosave
from elboroom.runs.checkpoints import Checkpoint
from tests.support.checkpoint_cases import epoch, fresh


class Time:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class RunStub:
    """A run that only lists what is saved: "metrics", and steps of checkpoints."""

    def __init__(self, options: CheckpointConfig) -> None:
        self.config, self.saved = Config(checkpoints=options), list[int | str]()
        self.checkpoints, self.metrics = Path("nowhere"), self

    def record(self, metrics: object) -> None:
        self.saved.append("metrics")

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.saved.append(checkpoint.step)


class Training:
    """A training that an `Autosave` saves."""

    def __init__(self, run: RunStub, begun_at: int = 0) -> None:
        self.model, self.state = fresh()
        self.state.step = begun_at
        self.autosave = Autosave(run, self.model, self.state)  # type: ignore[arg-type]

    def step(self) -> None:
        self.state.step += 1
        self.autosave.on_step(self.state)

    def epoch(self, elbo: float | None = None) -> None:
        self.state.step += 1
        number = len(self.state.history) + 1
        self.state.history.append(replace(epoch(self.state.step, elbo), epoch=number))
        self.autosave.on_epoch(self.state)

    def end(self) -> None:
        self.autosave.save(self.state)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(autosave, "time", time)
    return time


def test_by_default_half_a_minute_lies_between_two_checkpoints(time: Time):
    training = Training(run := RunStub(CheckpointConfig()))
    for time.now in (129.0, 131.0, 160.0, 162.0):
        training.step()
    assert run.saved == [2, 4]


def test_an_epoch_that_is_due_is_saved_after_its_metrics(time: Time):
    training = Training(run := RunStub(CheckpointConfig()))
    training.epoch()
    time.now += 31
    training.epoch()
    assert run.saved == ["metrics", "metrics", 2]


def test_every_second_epoch_is_saved_whatever_the_clock_says(time: Time):
    training = Training(run := RunStub(CheckpointConfig(math.inf, checkpoint_epochs=2)))
    for _ in range(5):
        time.now += 1e9
        training.step()
        training.epoch()
    assert [step for step in run.saved if step != "metrics"] == [4, 8]


def test_the_end_is_saved_once(time: Time):
    training = Training(run := RunStub(CheckpointConfig(checkpoint_epochs=1)))
    training.epoch()
    training.end()
    training.step()
    training.end()
    assert run.saved == ["metrics", 1, 2]


def test_what_was_loaded_is_not_written_again(time: Time):
    training = Training(run := RunStub(CheckpointConfig()), begun_at=7)
    training.end()
    assert run.saved == []


def test_the_best_since_the_last_checkpoint_is_saved_with_the_next(time: Time):
    training = Training(run := RunStub(CheckpointConfig()))
    for elbo in (-5.0, -3.0, None, -4.0, math.nan, math.inf):
        training.epoch(elbo)
    training.end()
    assert run.saved[6:] == [2, 6]
    training.epoch(-3.5)  # worse than what is kept
    training.end()
    assert run.saved[8:] == ["metrics", 7]


def test_the_best_that_is_the_newest_is_written_once(time: Time):
    training = Training(run := RunStub(CheckpointConfig()))
    training.epoch(-5.0)
    training.end()
    assert run.saved == ["metrics", 1]


def test_only_what_is_better_than_what_the_run_has_is_the_best(
    time: Time, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(autosave, "best_held_out_elbo", lambda folder, until: -4.0)
    training = Training(run := RunStub(CheckpointConfig()))
    for elbo in (-5.0, -3.0, -6.0):
        training.epoch(elbo)
    training.end()
    assert run.saved[3:] == [2, 3]


def test_the_best_is_saved_as_it_was(tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch):
    saved = list[Checkpoint]()
    monkeypatch.setattr(
        RunStub, "write_checkpoint", lambda run, checkpoint: saved.append(checkpoint)
    )
    training = Training(RunStub(CheckpointConfig()))
    training.epoch(-5.0)
    before = autosave.capture(training.model, training.state)
    training.model.decoder.get_parameter("trunk.2.bias").data += 1
    training.epoch(-6.0)
    training.end()
    assert saved[0] == before
    assert [checkpoint.step for checkpoint in saved] == [1, 2]


def test_within_an_epoch_weights_that_are_not_finite_are_not_saved(
    monkeypatch: pytest.MonkeyPatch,
):
    clock = Time()
    monkeypatch.setattr(autosave, "time", clock)
    training = Training(run := RunStub(CheckpointConfig()))
    clock.now += 31
    weights = next(training.model.parameters()).detach()
    weights[0] = math.nan
    training.step()
    assert run.saved == []
    weights[0] = 0.5
    training.step()
    assert run.saved == [2]
