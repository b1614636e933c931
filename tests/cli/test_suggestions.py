"""Commands that are suggested can be pasted into a shell, and paths may begin with `~`."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from elboroom.cli.main import _expand
from elboroom.errors import command
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error


def suggested(text: str) -> list[str]:
    """Return the words of the command between backticks, as a shell reads them."""
    return shlex.split(text.split("`")[1])


@pytest.mark.parametrize("name", ["my run", "it's", "a;b", "$HOME", "plain"])
def test_a_suggested_command_is_quoted(name: str):
    assert shlex.split(command("report", name)) == ["elboroom", "report", name]


def test_a_run_in_the_way_is_resumed_by_the_suggested_command(
    elboroom: Command, small: list[str], tmp_path: Path
):
    path = tmp_path / "my run; of $HOME"
    path.mkdir()
    (path / "something").touch()
    fix = error(elboroom("train", *small, "--out", path), 1)[2]
    assert suggested(fix) == ["elboroom", "train", "--resume", str(path)]


def test_the_farewell_is_a_command(elboroom: Command, small: list[str], tmp_path: Path):
    path = tmp_path / "my run"
    outcome = elboroom("train", *small, "--epochs", 1, "--out", path)
    line = next(line for line in outcome.err.splitlines() if line.startswith("next: "))
    assert shlex.split(line.removeprefix("next: ")) == ["elboroom", "report", str(path)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~/x.npy", "/home/me/x.npy"),
        ("--data=~/x.npy", "--data=/home/me/x.npy"),
        ("--out=~", "--out=/home/me"),
        ("--mask=a=~/b", "--mask=a=~/b"),
        ("x~/y", "x~/y"),
        ("--data", "--data"),
    ],
)
def test_a_tilde_is_expanded(monkeypatch: pytest.MonkeyPatch, given: str, expected: str):
    monkeypatch.setenv("HOME", "/home/me")
    assert _expand(given) == expected


def test_paths_of_every_option_may_begin_with_a_tilde(
    elboroom: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 4)))
    np.save(tmp_path / "m.npy", np.arange(4) < 2)
    brief_run(tmp_path / "run", tmp_path / "x.npy")
    options = ["--data=~/x.npy", "--mask=~/m.npy", "--out=~/f.npz", "--method", "encoder"]
    assert elboroom("complete", "~/run", *options).code == 0
    assert (tmp_path / "f.npz").exists()
    assert Run("~/run").path == tmp_path / "run"
