"""Runs that are killed or stopped anywhere, and resume bit for bit."""

import os
import signal
import time
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from elboroom.cli import train as train_command
from elboroom.runs import checkpoints
from elboroom.runs.checkpoints import checkpoint
from tests.drills import children
from tests.drills.kills import EVERY_STEP, Kill, differences, stories, story, trained_through
from tests.drills.stops import CODES, stop
from tests.support.command import Command


@pytest.fixture(scope="module")
def brief(small: list[str]) -> list[str]:
    """Options of a training of 36 steps, six an epoch."""
    return [*small, "--epochs", "6", "--evaluate-every", "2", "--quiet"]


@pytest.fixture(scope="module")
def through(brief: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_through(brief, tmp_path_factory.mktemp("through"))


@pytest.mark.parametrize(
    "often",
    [
        ["--checkpoint-minutes", "1e-9"],
        ["--checkpoint-minutes", "inf", "--checkpoint-epochs", "1"],
        ["--checkpoint-epochs", "4"],
    ],
)
def test_training_does_not_depend_on_how_often_it_is_saved(
    elboroom: Command, brief: list[str], through: Path, tmp_path: Path, often: list[str]
):
    assert elboroom("train", *brief, *often, "--out", tmp_path / "run") == (0, "", "")
    assert differences(tmp_path / "run", through) == []


RECIPE = [
    "--optimiser",
    "adamax",
    "--ema",
    "0.9",
    "--clip",
    "5",
    "--skip",
    "50",
    "--flip",
    "--shift",
    "1",
    "--keep-best",
]


@pytest.mark.parametrize(
    ("kills", "recipe"),
    [
        (3, []),
        pytest.param(15, [], marks=pytest.mark.full),
        pytest.param(15, RECIPE, marks=pytest.mark.full),
    ],
)
def test_a_run_killed_many_times_ends_like_an_uninterrupted_one(
    brief: list[str], tmp_path_factory: pytest.TempPathFactory, kills: int, recipe: list[str]
):
    places = (tmp_path_factory.mktemp("story") for _ in count())
    found = list(stories([[*brief, *EVERY_STEP, *recipe]], kills, places, Random(0)))
    assert [one.faults for one in found] == [[]] * len(found)
    killed = [kill for one in found for kill in one.killed]
    assert len(killed) >= kills
    assert 2 * sum(kill.saving for kill in killed) >= kills
    assert any(kill.torn for kill in killed)
    assert any(kill.training for kill in killed)


def test_a_writer_that_renames_nothing_does_not_survive_kills(
    brief: list[str], through: Path, tmp_path: Path
):
    coming = [Kill(2, saving=True, torn=True)]
    found = story([*brief, *EVERY_STEP], coming, through, tmp_path, children.dying_in_place)
    assert found.killed == coming
    assert "damage" in found.faults[0]


@pytest.fixture(scope="module")
def lasting(brief: list[str]) -> list[str]:
    """Options of a training of a second or so."""
    return [*brief, "--epochs", "120", "--learning-rate", "1e-5"]


@pytest.fixture(scope="module")
def lasted(lasting: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_through(lasting, tmp_path_factory.mktemp("lasted"))


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[pytest.mark.full] * (n != signal.SIGTERM)) for n in CODES],
)
@pytest.mark.parametrize("delay", [0.0, pytest.param(0.1, marks=pytest.mark.full)])
def test_a_signal_saves_the_run_and_sets_the_exit_code(
    lasting: list[str], lasted: Path, tmp_path: Path, number: int, delay: float
):
    assert stop(lasting, number, delay, lasted, tmp_path).faults == []


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
            "  fix: wait until that ends, or stop it; "
            "commands that only read the run need no lock\n",
        )
        assert elboroom("evaluate", run, "--k", 2, "--quiet").code == 0
    finally:
        child.kill()
        children.end(child)
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")


def pressing(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, *numbers: int) -> None:
    """Send signals when `place.name` is first called, before it does anything."""
    real, left = getattr(place, name), list(numbers)

    def pressed(*arguments: Any, **options: Any) -> Any:
        while left:
            os.kill(os.getpid(), left.pop(0))
        return real(*arguments, **options)

    monkeypatch.setattr(place, name, pressed)


@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_data_are_read_leaves_no_run(
    elboroom: Command,
    brief: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
):
    pressing(monkeypatch, train_command, "load_data", number)
    name = signal.Signals(number).name
    outcome = elboroom("train", *brief, "--out", tmp_path / "run")
    assert outcome == (CODES[signal.Signals(number)], "", f"error: interrupted by {name}\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.full
def test_a_run_killed_before_its_config_was_written_can_be_started_again(
    elboroom: Command, brief: list[str], through: Path, tmp_path: Path
):
    run = tmp_path / "run"
    for call in range(1, 15):
        arguments = ["train", *brief, "--out", str(run)]
        log = tmp_path / "log"
        child = children.start(children.dying, log, arguments, call, False, False)
        assert children.end(child) == -signal.SIGKILL
        if (run / "config.toml").exists():
            break
    assert call > 4
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")
    assert differences(run, through) == []


@pytest.mark.parametrize("place", [(checkpoint, "write_folder"), (os, "fsync"), (os, "replace")])
def test_a_second_ctrl_c_within_a_save_does_no_harm(
    elboroom: Command,
    brief: list[str],
    through: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
):
    """Press both in the second save."""
    run, write, saves = tmp_path / "run", checkpoints.write, []

    def counted(*arguments: Any) -> Path:
        saves.append(0)
        if len(saves) == 2:
            pressing(patch, *place, signal.SIGINT, signal.SIGINT)
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", counted)
        outcome = elboroom("train", *brief, "--checkpoint-epochs", 1, "--out", run)
    assert outcome == (130, "", "error: interrupted by SIGINT\n")
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")
    assert differences(run, through) == []
