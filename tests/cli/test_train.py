"""`elboroom train`."""

import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from elboroom import Run
from elboroom.cli.main import parse
from elboroom.errors import UsageError
from elboroom.randomness import stream
from elboroom.runs.doctor.finding import Finding
from elboroom.runs.doctor.run_folder import check_run
from tests.support.command import Command, Outcome
from tests.support.outcomes import error, last_checkpoint, metrics


def test_training_without_a_terminal_prints_plain_lines(
    shell: Command, small: list[str], tmp_path: Path
):
    outcome = shell("train", *small, "--out", tmp_path / "r[b]:x:")
    assert (outcome.code, outcome.out) == (0, "")
    *said, trained, following = outcome.err.splitlines()
    first, second = (line for line in said if line.startswith("epoch"))
    assert [line.split(":")[0] for line in said[:5]] == [
        *("read", "values", "labels", "split", "likelihood")
    ]
    number = r"-?[\d,]+\.\d\d"
    terms = rf"ELBO {number}  reconstruction {number}  KL {number}  [\d,]+ images/s"
    assert re.fullmatch(rf"epoch 1/2  {terms}", first)
    assert re.fullmatch(rf"epoch 2/2  {terms}  test ELBO {number}", second)
    path = re.escape(f"{tmp_path}/r[b]:x:")
    assert re.fullmatch(
        rf"trained: test ELBO {number} nats per image; the run is in {path}", trained
    )
    assert following == f"next: elboroom report '{tmp_path}/r[b]:x:'"


def test_the_recipe_is_told_before_training_and_skipped_steps_after_it(
    elboroom: Command, small: list[str], tmp_path: Path
):
    recipe = ["--optimiser", "adamax", "--ema", "0.9", "--clip", "1", "--skip", "3.1"]
    options = [*small, *recipe, "--flip", "--shift", "1", "--learning-rate", "1e-6"]
    outcome = elboroom("train", *options, "--out", tmp_path / "run")
    assert outcome.code == 0
    lines = outcome.err.splitlines()
    (told,) = (line for line in lines if line.startswith("training:"))
    assert told == (
        "training: by adamax, gradients clipped to norm 1, steps skipped whose norm is above 3.1 "
        "or not finite, the average of the weights is evaluated (decay 0.9), images flipped at "
        "random and shifted by up to 1 pixel"
    )
    skipped = [epoch["skipped"] for epoch in metrics(tmp_path / "run")]
    assert sum(skipped) > 0
    shown = [line for line in lines if line.startswith("epoch")]
    assert [f"{n} step" in line for n, line in zip(skipped, shown, strict=True)] == [
        n > 0 for n in skipped
    ]
    (said,) = (line for line in lines if line.startswith("skipped:"))
    assert said == (
        f"skipped: {sum(skipped)} of 12 steps, whose gradient's norm was above 3.1 or not finite"
    )


def test_a_table_cannot_be_flipped(elboroom: Command, tmp_path: Path):
    np.save(tmp_path / "table.npy", np.random.default_rng(0).normal(size=(60, 3)))
    options = ["--data", tmp_path / "table.npy", "--flip", "--out", tmp_path / "run"]
    assert error(elboroom("train", *options), 2)[0] == "--flip cannot be used with these data"
    assert not (tmp_path / "run").exists()


def test_quiet_training_prints_nothing(elboroom: Command, small: list[str], tmp_path: Path):
    assert elboroom("train", *small, "--quiet", "--out", tmp_path / "run") == (0, "", "")
    assert len(metrics(tmp_path / "run")) == 2


def test_quiet_training_prints_notes_on_the_data(
    elboroom: Command, small: list[str], tmp_path: Path
):
    table = np.random.default_rng(0).normal(size=(60, 3))
    table[:, 1] = 4.0
    np.savez(tmp_path / "t.npz", x=table, ids=table[:, 0])
    options = [*small, "--data", tmp_path / "t.npz", "--unused", "ids", "--likelihood", "gaussian"]
    options += ["--binarisation", "none", "--no-data-bias", "--quiet"]
    outcome = elboroom("train", *options, "--out", tmp_path / "run")
    assert (outcome.code, outcome.out) == (0, "")
    lines = outcome.err.splitlines()
    assert lines[0] == "note: left out ids"
    assert all(line.startswith(("note: ", "warning: ")) for line in lines)
    assert any("4" in line for line in lines[1:])
    resumed = elboroom("train", "--resume", tmp_path / "run", "--quiet")
    assert resumed == (0, "", "")


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


@pytest.mark.filterwarnings("always:training ends at")
def test_a_run_that_ends_before_its_warmup_warns(
    elboroom: Command, small: list[str], tmp_path: Path
):
    outcome = elboroom("train", *small, "--warmup", "8", "--quiet", "--out", tmp_path / "run")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith(
        "warning: training ends at β = 0.25, before the end of the warm-up, so its objective "
        "is not a bound on log p(x). Use --warmup 2 or less, or more --epochs.\n"
    )


@pytest.mark.filterwarnings("always:.* is below that of")
def test_a_run_below_its_marginals_says_so(elboroom: Command, small: list[str], tmp_path: Path):
    outcome = elboroom("train", *small, "--quiet", "--out", tmp_path / "run")
    assert outcome.code == 0
    assert "is below that of independent values with their own means" in outcome.err
    assert "train with more --epochs" in outcome.err


def test_a_warmup_that_ends_with_the_run_does_not_warn(
    elboroom: Command, small: list[str], tmp_path: Path
):
    outcome = elboroom("train", *small, "--warmup", "2", "--quiet", "--out", tmp_path / "run")
    assert outcome == (0, "", "")


def by_time(elboroom: Command, small: list[str], run: Path, *more: str) -> Outcome:
    """Train in a fiftieth of a minute, with no limit of epochs."""
    options = [*small[: small.index("--epochs")], *small[small.index("--epochs") + 2 :]]
    options += ["--minutes", "0.02", "--evaluate-every", "1000"]
    return elboroom("train", *options, "--out", run, *more)


def test_a_training_by_time_ends_with_its_schedule(
    elboroom: Command, small: list[str], tmp_path: Path
):
    path = tmp_path / "run"
    assert by_time(elboroom, small, path, "--schedule", "cosine", "--quiet").code == 0
    run = Run(path)
    assert (run.config.train.minutes, run.config.train.epochs) == (0.02, "auto")
    history = run.metrics.history()
    assert history[-1].progress == 1
    assert history[-1].held_out_elbo is not None
    assert [m.progress for m in history] == sorted(m.progress or 0 for m in history)
    said = elboroom("doctor", path)
    assert said.code == 0
    assert f"{len(history):,} epochs, 100% of 0.02 minutes" in said.out
    assert "resumes it" not in said.out
    resumed = elboroom("train", "--resume", path)
    assert (resumed.code, run.metrics.history()) == (0, history)
    assert "trained: " in resumed.err


@pytest.mark.parametrize("more", [["--minutes", "1"], ["--epochs", "9"]])
def test_a_training_by_time_is_not_extended(
    elboroom: Command, small: list[str], tmp_path: Path, more: list[str]
):
    assert by_time(elboroom, small, tmp_path / "run", "--quiet").code == 0
    for option in ("--resume", "--resume-or-start"):
        same = [] if option == "--resume" else small
        outcome = elboroom("train", *same, option, tmp_path / "run", *more)
        assert (outcome.code, outcome.out) == (2, "")
    with pytest.raises(UsageError, match="is trained by time, and cannot be extended"):
        Run(tmp_path / "run").extend(9)


def test_minutes_end_at_the_epochs_that_are_given(
    elboroom: Command, small: list[str], tmp_path: Path
):
    path = tmp_path / "run"
    assert elboroom("train", *small, "--minutes", "1", "--out", path).code == 0
    assert [m.progress for m in Run(path).metrics.history()] == pytest.approx([0.5, 1], abs=0.01)


def test_minutes_count_from_the_beginning_of_the_command(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    command = parse(["train", *small, "--minutes", "1", "--quiet", "--out", str(tmp_path / "run")])
    an_hour_ago = time.perf_counter() - 3_600
    monkeypatch.setattr(
        "elboroom.cli.commands.time", SimpleNamespace(perf_counter=lambda: an_hour_ago)
    )
    assert command.run() == 0
    assert Run(tmp_path / "run").metrics.history()[-1].step == 1


@pytest.mark.filterwarnings("always:at step")
def test_training_that_cannot_continue_keeps_its_last_good_state(elboroom: Command, tmp_path: Path):
    row = int(torch.randperm(270, generator=stream(0, "order", 0))[2 * 50])  # comes in step 2
    images = np.random.default_rng(0).random((300, 8, 8), dtype=np.float32)
    images[row] = 1e25  # a square is not finite
    np.savez(tmp_path / "huge.npz", x_train=images[:270], x_test=images[270:])
    options = ["--data", tmp_path / "huge.npz", "--preset", "reference", "--binarisation", "none"]
    options += ["--standardise", "none"]
    options += ["--noise", 1, "--likelihood", "gaussian", "--hidden", "16", "--batch-size", "50"]
    outcome = elboroom("train", *options, "--threads", 1, "--quiet", "--out", tmp_path / "run")
    assert (outcome.code, outcome.out) == (1, "")
    note, *rollbacks, what, why, fix = outcome.err.splitlines()
    assert note.startswith("note: 1e+25 stands in 0.37 % of channel 0")
    fault = (
        "at step 2 of epoch 1, the reconstruction term is -inf, though the output of every layer "
        f"is finite (rows {row} of the training part, 1 of 50 in the batch)"
    )
    assert rollbacks == [
        f"warning: {fault}. Training continues from step 0 with {0.5**i:g} of its learning rate: "
        f"rollback {i} of 5."
        for i in range(1, 6)
    ]
    said = [what.removeprefix("error: "), why.removeprefix("  why: "), fix.removeprefix("  fix: ")]
    assert said[:2] == ["training cannot continue from step 0", f"{fault}, after 5 rollbacks"]
    weights = Run(tmp_path / "run").load_model().parameters()
    assert all(parameter.isfinite().all() for parameter in weights)
    assert error(elboroom("train", "--resume", tmp_path / "run"), 1) == said


def test_a_run_out_of_patience_is_finished_and_stays_so(
    elboroom: Command, small: list[str], tmp_path: Path
):
    place = small.index("--epochs")
    options = [*small[:place], "--epochs", "50", *small[place + 2 :], "--evaluate-every", "1"]
    outcome = elboroom("train", *options, "--patience", "2", "--out", tmp_path / "run")
    assert (outcome.code, outcome.out) == (0, "")
    elbos = [m["held_out_elbo"] for m in metrics(tmp_path / "run")]
    assert 3 <= len(elbos) < 50
    best = max(elbos)
    assert elbos.index(best) == len(elbos) - 3
    *_, early, trained, following = outcome.err.splitlines()
    assert early == (
        f"ended early, after epoch {len(elbos)} of 50: no test ELBO of the last 2 evaluations "
        f"was above {best:.2f}, that of epoch {len(elbos) - 2}"
    )
    assert following == (
        f"next: elboroom report {tmp_path}/run --best, which takes the best checkpoint "
        "instead of the newest"
    )
    assert trained.startswith(f"trained: test ELBO {elbos[-1]:.2f} nats per image; the run is in ")
    again = elboroom("train", "--resume", tmp_path / "run")
    assert (again.code, again.err.splitlines()) == (0, outcome.err.splitlines()[-3:])
    ended = Finding("training", f"{len(elbos)} of 50 epochs, ended early by --patience")
    assert ended in check_run(tmp_path / "run")
    assert [m["held_out_elbo"] for m in metrics(tmp_path / "run")] == elbos


def test_a_tracker_without_its_library_is_refused_before_there_is_a_run(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("elboroom.runs.tracking.registry.find_spec", lambda name: None)
    outcome = elboroom("train", *small, "--track", "wandb", "--out", tmp_path / "run")
    what, _, fix = error(outcome, 2)
    assert what == "--track wandb cannot be used"
    assert fix == "install it: pip install 'elboroom[wandb]'"
    assert not (tmp_path / "run").exists()
