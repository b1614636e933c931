"""`elboroom train`."""

import os
import re
from pathlib import Path

import pytest

from conftest import Command
from elboroom import Run, training_commands
from outcomes import last_checkpoint, metrics


def test_training_without_a_terminal_prints_plain_lines(
    shell: Command, small: list[str], tmp_path: Path
):
    outcome = shell("train", *small, "--out", tmp_path / "r[b]:x:")
    assert (outcome.code, outcome.out) == (0, "")
    first, second, trained, following = outcome.err.splitlines()
    number = r"-?[\d,]+\.\d\d"
    terms = rf"ELBO {number}  reconstruction {number}  KL {number}  [\d,]+ images/s"
    assert re.fullmatch(rf"epoch 1/2  {terms}", first)
    assert re.fullmatch(rf"epoch 2/2  {terms}  test ELBO {number}", second)
    path = re.escape(f"{tmp_path}/r[b]:x:")
    assert re.fullmatch(
        rf"trained: test ELBO {number} nats per image; the run is in {path}", trained
    )
    assert following == f"next: elboroom report {tmp_path}/r[b]:x:"


def test_quiet_training_prints_nothing(elboroom: Command, small: list[str], tmp_path: Path):
    assert elboroom("train", *small, "--quiet", "--out", tmp_path / "run") == (0, "", "")
    assert len(metrics(tmp_path / "run")) == 2


@pytest.mark.parametrize(("given", "found"), [(None, "10000"), ("7", "7")])
def test_openmp_spins_for_a_bounded_time_unless_the_user_says_otherwise(
    elboroom: Command, monkeypatch: pytest.MonkeyPatch, given: str | None, found: str
):
    monkeypatch.setenv("GOMP_SPINCOUNT", given or "")
    if given is None:
        monkeypatch.delenv("GOMP_SPINCOUNT")
    elboroom("version")
    assert os.environ["GOMP_SPINCOUNT"] == found


def test_without_out_the_run_is_named_by_its_preset(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert elboroom("train", *small, "--quiet").code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"reference-\d{8}-\d{6}", run.name)


def test_the_same_command_gives_the_same_model(
    elboroom: Command, trained: Path, small: list[str], tmp_path: Path
):
    assert elboroom("train", *small, "--quiet", "--out", tmp_path / "run").code == 0
    assert last_checkpoint(tmp_path / "run") == last_checkpoint(trained)
    assert metrics(tmp_path / "run") == metrics(trained)


def test_a_run_that_ends_before_its_warmup_warns(shell: Command, small: list[str], tmp_path: Path):
    outcome = shell("train", *small, "--warmup", "8", "--quiet", "--out", tmp_path / "run")
    assert outcome == (
        0,
        "",
        "warning: training ends at β = 0.25, before the warm-up does: what it maximises is not "
        "a bound on log p(x). Use --warmup 2 or less, or more --epochs.\n",
    )


def test_a_warmup_that_ends_with_the_run_does_not_warn(
    elboroom: Command, small: list[str], tmp_path: Path
):
    outcome = elboroom("train", *small, "--warmup", "2", "--quiet", "--out", tmp_path / "run")
    assert outcome == (0, "", "")


def test_as_many_epochs_are_trained_as_fit(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training_commands, "epochs_within", lambda *args, **options: 1)
    path = tmp_path / "run"
    assert elboroom("train", *small, "--minutes", "5", "--quiet", "--out", path).code == 0
    assert Run(path).config.train.epochs == len(Run(path).history()) == 1


def test_minutes_become_the_epochs_that_fit(elboroom: Command, small: list[str], tmp_path: Path):
    path = tmp_path / "run"
    assert elboroom("train", *small, "--minutes", "5", "--quiet", "--out", path).code == 0
    config = Run(path).config
    assert (config.minutes, config.train.epochs) == (None, 2)  # --epochs 2 are the most
    assert elboroom("train", "--resume", path).code == 0


def test_less_time_than_an_epoch_takes_leaves_no_run(
    elboroom: Command, small: list[str], tmp_path: Path
):
    outcome = elboroom("train", *small, "--minutes", "1e-6", "--out", tmp_path / "run")
    assert outcome.code == 2
    assert "--minutes 1e-06 is less than one epoch takes" in outcome.err
    assert not (tmp_path / "run").exists()
