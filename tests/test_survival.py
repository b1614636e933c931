"""Runs that are killed or stopped anywhere, and go on bit for bit."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import children
from conftest import Command
from elboroom import Run, checkpoints, storage, training_commands
from outcomes import last_checkpoint, metrics

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}


@pytest.fixture(scope="module")
def brief(small: list[str]) -> list[str]:
    """Options of a training of 36 steps, six an epoch."""
    return [*small, "--epochs", "6", "--evaluate-every", "2", "--quiet"]


@pytest.fixture(scope="module")
def through(brief: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without any harm, kept at its end alone."""
    path = tmp_path_factory.mktemp("through")
    options = [*brief, "--checkpoint-minutes", "inf", "--out", str(path / "run")]
    assert children.end(children.start(children.elboroom, path / "log", ["train", *options])) == 0
    assert (path / "log").read_text() == ""
    return path / "run"


def weights(run: Path, *, best: bool) -> dict[str, bytes]:
    state = Run(run).load_model(best=best).state_dict()
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


def require_same(run: Path, through: Path) -> None:
    """That the ends are the same: weights, optimiser, metrics, and the best weights."""
    assert last_checkpoint(run) == last_checkpoint(through)
    assert metrics(run) == metrics(through)
    assert weights(run, best=True) == weights(through, best=True)


@pytest.mark.parametrize(
    "often",
    [
        ["--checkpoint-minutes", "1e-9"],
        ["--checkpoint-minutes", "inf", "--checkpoint-epochs", "1"],
        ["--checkpoint-epochs", "4"],
    ],
)
def test_what_is_trained_does_not_depend_on_how_often_it_is_kept(
    elboroom: Command, brief: list[str], through: Path, tmp_path: Path, often: list[str]
):
    assert elboroom("train", *brief, *often, "--out", tmp_path / "run") == (0, "", "")
    require_same(tmp_path / "run", through)


def kills() -> Iterator[dict[str, Any]]:
    """Fifteen: half of them within a save, half of those with a file half written."""
    random = Random(0)
    for i in range(15):
        inside = i % 2 == 0
        yield {
            "dies_in": random.randint(1, 50) if inside else 0,
            "torn": random.random() < 0.5,
            "seconds": None if inside else random.uniform(0.0, 0.4),
        }


def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(
    brief: list[str], through: Path, tmp_path: Path
):
    run, log = tmp_path / "run", tmp_path / "log"
    every_step = ["train", *brief, "--checkpoint-minutes", "1e-9", "--out", str(run)]
    codes = []
    for kill in kills():
        on = ["train", "--resume", str(run), "--quiet"]
        command = on if (run / "config.toml").exists() else every_step
        child = children.start(children.elboroom, log, command, kill["dies_in"], kill["torn"])
        if kill["seconds"] is not None:
            time.sleep(kill["seconds"])
            child.kill()
        codes.append(children.end(child))
    child = children.start(children.elboroom, log, ["train", "--resume", str(run), "--quiet"])
    assert children.end(child) == 0
    assert log.read_text() == ""  # no warning: no checkpoint that is there was ever broken
    assert codes.count(-signal.SIGKILL) >= 12
    require_same(run, through)


def started(run: Path) -> bool:
    return (run / "metrics.jsonl").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_keeps_the_run_and_is_told_by_the_exit_code(
    elboroom: Command, small: list[str], tmp_path: Path, number: int
):
    run, log = tmp_path / "run", tmp_path / "log"
    long = [*small, "--epochs", "100000", "--checkpoint-minutes", "inf", "--quiet"]
    child = children.start(children.elboroom, log, ["train", *long, "--out", str(run)])
    while not started(run):
        assert child.is_alive(), log.read_text()
        time.sleep(0.01)
    assert child.pid is not None
    sent = time.monotonic()
    os.kill(child.pid, number)
    assert children.end(child) == SIGNALS[signal.Signals(number)]
    assert time.monotonic() - sent < 10
    assert log.read_text() == ""
    _, state = Run(run).load_training(Run(run).load_data())
    assert state.step >= 6
    assert len(state.history) == state.step // 6


def test_two_processes_may_not_train_one_run(elboroom: Command, run: Path, tmp_path: Path):
    child = children.start(children.hold, run, tmp_path / "holding")
    try:
        while not (tmp_path / "holding").exists():
            assert child.is_alive()
            time.sleep(0.01)
        outcome = elboroom("train", "--resume", run)
        host = os.uname().nodename
        assert outcome == (
            1,
            "",
            f"error: {run} is being trained\n"
            f"  why: process {child.pid} on {host} holds its lock\n"
            "  fix: wait until that ends, or stop it; what only reads the run needs no lock\n",
        )
        assert elboroom("evaluate", run, "--k", 2, "--quiet").code == 0
    finally:
        child.kill()
        children.end(child)
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")


def pressing(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, *numbers: int) -> None:
    """From now on signals come when `place.name` is first called, before it does anything."""
    real, left = getattr(place, name), list(numbers)

    def pressed(*arguments: Any, **options: Any) -> Any:
        while left:
            os.kill(os.getpid(), left.pop(0))
        return real(*arguments, **options)

    monkeypatch.setattr(place, name, pressed)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_data_are_read_leaves_no_run(
    elboroom: Command,
    brief: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
):
    pressing(monkeypatch, training_commands, "load_data", number)
    name = signal.Signals(number).name
    outcome = elboroom("train", *brief, "--out", tmp_path / "run")
    assert outcome == (SIGNALS[signal.Signals(number)], "", f"error: interrupted by {name}\n")
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_killed_before_it_had_a_config_is_not_in_the_way(
    elboroom: Command, brief: list[str], through: Path, tmp_path: Path
):
    run = tmp_path / "run"
    for call in range(1, 15):
        arguments = ["train", *brief, "--out", str(run)]
        child = children.start(children.elboroom, tmp_path / "log", arguments, call)
        assert children.end(child) == -signal.SIGKILL
        if (run / "config.toml").exists():
            break
    assert call > 4
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")
    require_same(run, through)


@pytest.mark.parametrize("place", [(storage, "write_folder"), (os, "fsync"), (os, "replace")])
def test_a_second_ctrl_c_within_a_save_does_no_harm(
    elboroom: Command,
    brief: list[str],
    through: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
):
    """Both are pressed in the second save."""
    run, keep, saves = tmp_path / "run", checkpoints.keep, []

    def counted(*arguments: Any) -> Path:
        saves.append(0)
        if len(saves) == 2:
            module = checkpoints if place[0] is storage else place[0]
            pressing(patch, module, place[1], signal.SIGINT, signal.SIGINT)
        return keep(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "keep", counted)
        outcome = elboroom("train", *brief, "--checkpoint-epochs", 1, "--out", run)
    assert outcome == (130, "", "error: interrupted by SIGINT\n")
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")
    require_same(run, through)
