"""What a tracker is told: the epochs of metrics.jsonl once, the options, the figures, the end."""

from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from elboroom import Config, DataConfig, Dataset, ModelConfig, Run, train_run
from elboroom.config import FigureName
from elboroom.data import load_data
from elboroom.errors import TrainingError, UsageError
from elboroom.figures import gallery
from elboroom.runs import training
from elboroom.training.interrupts import TrainingInterrupted
from elboroom.training.state import TrainState
from tests.support.outcomes import last_checkpoint, metrics
from tests.support.tracked_runs import QUICK, Recorder, in_file, stop_at


@pytest.fixture
def config(digits: Path) -> Config:
    data = DataConfig(source=str(digits), binarisation="threshold")
    return Config(data=data, model=ModelConfig(hidden=(8, 4)), train=QUICK)


@pytest.fixture
def run(tmp_path: Path, config: Config) -> Run:
    return Run.create(tmp_path / "run", config, load_data(config.data))


def test_a_tracker_is_told_the_epochs_the_options_the_figures_and_the_end(run: Run):
    recorder = Recorder()
    train_run(run, track=[recorder])
    assert recorder.epochs == in_file(run)
    assert [step for step, _ in recorder.epochs] == [6, 12, 18]
    assert ["held_out_elbo" in row for _, row in recorder.epochs] == [False, True, True]
    assert all(isinstance(value, float) for _, row in recorder.epochs for value in row.values())
    assert recorder.figures == [("curves", 18), ("samples", 18)]
    assert recorder.ends == ["done"]
    assert recorder.calls == ["start", *["log"] * 3, *["figure"] * 2, "finish"]
    assert recorder.name == "run"
    found = recorder.config
    assert (found["train.batch_size"], found["train.clip"], found["init_from"]) == (50, None, None)
    assert found["model.hidden"] == "8 4"
    assert found["identity.sha256"] == run.identity.sha256
    assert found["environment.torch"] == run.environment["torch"]


def test_figures_are_drawn_once_for_all_trackers(run: Run, monkeypatch: pytest.MonkeyPatch):
    drawn, recorders = list[str](), [Recorder(), Recorder()]
    draw = gallery.draw

    def noting(name: FigureName, subject: gallery.Subject) -> Figure:
        drawn.append(name)
        return draw(name, subject)

    monkeypatch.setattr(gallery, "draw", noting)
    train_run(run, track=recorders)
    assert drawn == ["curves", "samples"]
    assert [len(recorder.figures) for recorder in recorders] == [2, 2]


def test_rows_that_are_no_images_have_curves_alone(tmp_path: Path):
    data = Dataset.from_arrays(np.random.default_rng(0).normal(size=(200, 3)))
    model = ModelConfig(hidden=(4,), likelihood="gaussian")
    run, recorder = Run.create(tmp_path / "run", Config(model=model, train=QUICK), data), Recorder()
    train_run(run, data, track=[recorder])
    assert [name for name, _ in recorder.figures] == ["curves"]


@pytest.mark.parametrize(("step", "has"), [(6, None), (8, 6)])
def test_a_resumed_training_repeats_no_epoch(run: Run, step: int, has: int | None):
    first, second = Recorder(), Recorder(has)
    train_run(run, track=[first], stop=stop_at(step))
    assert (first.ends, first.figures) == (["interrupted"], [])
    train_run(run, track=[second])
    assert first.epochs + second.epochs == in_file(run)
    assert (second.ends, len(second.figures)) == (["done"], 2)


def test_a_new_tracker_asks_for_the_epochs_before_it(run: Run):
    train_run(run, stop=stop_at(12))
    recorder = Recorder(has=0)
    train_run(run, track=[recorder])
    assert recorder.epochs == in_file(run)


def test_epochs_that_are_trained_again_are_not_logged_again(run: Run):
    """A killed training goes on from a checkpoint before the last epochs that a tracker has."""
    train_run(run, stop=stop_at(6))
    recorder = Recorder(has=12)
    train_run(run, track=[recorder])
    assert recorder.epochs == in_file(run)[2:]


def test_an_interrupt_and_an_error_are_told(run: Run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object, state: TrainState, **__: object) -> None:
        raise TrainingInterrupted(state)

    def failed(*_: object, **__: object) -> None:
        raise TrainingError("the bound is not finite", why="it is NaN", fix="lower the rate")

    ends = []
    for ended in (interrupted, failed):
        monkeypatch.setattr(training, "train", ended)
        recorder = Recorder()
        with suppress(TrainingInterrupted, TrainingError):
            train_run(run, track=[recorder])
        ends += recorder.ends
    assert ends == ["interrupted", "failed"]


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Run:
    data = DataConfig(source=str(digits), binarisation="threshold")
    config = Config(data=data, model=ModelConfig(hidden=(8, 4)), train=QUICK)
    path = tmp_path_factory.mktemp("untracked") / "run"
    run = Run.create(path, config, load_data(data))
    train_run(run)
    return run


@pytest.mark.parametrize("fails", ["", "start", "log", "figure", "finish"])
def test_a_tracker_changes_nothing_even_if_it_fails(untracked: Run, run: Run, fails: str):
    failing, other = Recorder(fails=fails), Recorder()
    if fails:
        with pytest.warns(UserWarning, match="Recorder tracks no more") as told:
            train_run(run, track=[failing, other])
        (said,) = [str(w.message) for w in told if "below that of" not in str(w.message)]
        why = "OSError: [Errno 28] No space left on device"
        assert said == f"Recorder tracks no more, and training goes on: {why}"
        assert failing.calls[-1] == fails
        assert failing.calls.count(fails) == 1
    else:
        train_run(run, track=[failing, other])
    assert last_checkpoint(run.path) == last_checkpoint(untracked.path)
    assert metrics(run.path) == metrics(untracked.path)
    assert (len(other.epochs), other.ends) == (3, ["done"])


def test_of_several_processes_the_first_alone_tracks(run: Run, monkeypatch: pytest.MonkeyPatch):
    recorder = Recorder()
    monkeypatch.setattr(training, "world", lambda: SimpleNamespace(is_first=False))
    _, state = train_run(run, track=[recorder])
    assert state.step == 18
    assert recorder.calls == []


@pytest.mark.parametrize(
    ("name", "library"), [("tensorboard", "tensorboardX"), ("wandb", "wandb"), ("mlflow", "mlflow")]
)
def test_a_library_that_is_not_installed_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: Any, library: str
):
    monkeypatch.setattr("elboroom.runs.tracking.registry.find_spec", lambda asked: None)
    with pytest.raises(UsageError) as error:
        train_run(run, track=[name])
    assert error.value.what == f"--track {name} cannot be used"
    assert error.value.why == f"it needs the library {library}, which is not installed"
    assert error.value.fix == f"install it: pip install 'elboroom[{name}]'"


@pytest.mark.parametrize(
    ("track", "why", "fix"),
    [
        ("tensorboard", "'tensorboard'; expected a sequence", 'track=["tensorboard"]'),
        (Recorder(), "a Recorder; expected a sequence", "give a list"),
        (["tensorbord"], "'tensorbord'; expected one of tensorboard, wandb, mlflow", "a name, or"),
        ([print], "a builtin_function_or_method; expected", "start, log, figure and finish"),
    ],
)
def test_what_is_no_tracker_is_named_with_the_fix(run: Run, track: Any, why: str, fix: str):
    with pytest.raises(UsageError) as error:
        train_run(run, track=track)
    assert why in error.value.why
    assert fix in error.value.fix
