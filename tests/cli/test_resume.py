"""Ctrl-C, `--resume`, and checkpoints that cannot be used."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import Run
from elboroom.runs import training as run_training
from elboroom.runs.checkpoints import capture
from elboroom.runs.tracking import registry
from tests.support.command import Command
from tests.support.outcomes import error, last_checkpoint, metrics
from tests.support.posix import ON_POSIX
from tests.support.tracked_runs import Recorder, in_file


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a training that takes seconds: 8 epochs of 180 steps."""
    path = tmp_path_factory.mktemp("data") / "many.npy"
    np.save(path, np.random.default_rng(0).random((2_000, 8, 8), dtype=np.float32))
    data = ["--data", str(path), "--validation", "0", "--binarisation", "dynamic"]
    model = ["--hidden", "16", "--batch-size", "10", "--warmup", "4", "--schedule", "cosine"]
    return [*data, *model, "--epochs", "8", "--evaluate-every", "5", "--threads", "1"]


@ON_POSIX
@pytest.mark.full  # test_exit_codes stops a training, too
def test_ctrl_c_keeps_the_run_and_resuming_is_as_if_it_had_never_stopped(
    elboroom: Command, many: list[str], tmp_path: Path
):
    run, through = tmp_path / "run", tmp_path / "through"
    line = [sys.executable, "-m", "elboroom", "train", *many, "--out", str(run)]
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch 2/8"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    stopped, following = err.splitlines()[-2:]
    step = int(json.loads(last_checkpoint(run)["manifest.json"])["step"])
    assert stopped == f"stopped at step {step:,}; the run is in {run}"
    assert following == f"resume with: elboroom train --resume {run}"
    assert 2 * 180 <= step < 8 * 180
    assert "Traceback" not in err

    outcome = elboroom("train", *following.split()[4:])
    assert (outcome.code, outcome.out) == (0, "")
    assert elboroom("train", *many, "--quiet", "--out", through).code == 0
    assert last_checkpoint(run) == last_checkpoint(through)
    assert metrics(run) == metrics(through)
    assert len(metrics(run)) == 8


def pressing(times: int) -> Any:
    """Training in whose first epoch somebody presses Ctrl-C."""
    train = run_training.train

    def pressed(*arguments: Any, stop: Any, **options: Any) -> Any:
        if times > 1:
            stop()  # as after a step
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        return train(*arguments, stop=stop, **options)

    return pressed


def test_ctrl_c_before_the_first_step_keeps_the_run_too(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(run_training, "train", pressing(1))
        outcome = elboroom("train", *small, "--out", tmp_path / "run")
    assert outcome.code == 130
    assert outcome.err.endswith(
        f"stopped at step 0; the run is in {tmp_path}/run\n"
        f"resume with: elboroom train --resume {tmp_path}/run\n"
    )
    assert elboroom("train", "--resume", tmp_path / "run", "--quiet") == (0, "", "")


def test_tracking_goes_on_by_the_command_that_resumes(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recorder = Recorder()
    kind = SimpleNamespace(make=lambda run: recorder, libraries=())
    monkeypatch.setitem(registry._KINDS, "mlflow", kind)
    with monkeypatch.context() as patch:
        patch.setattr(run_training, "train", pressing(1))
        outcome = elboroom("train", *small, "--track", "mlflow", "--out", tmp_path / "run")
    following = outcome.err.splitlines()[-1]
    assert following == f"resume with: elboroom train --resume {tmp_path}/run --track mlflow"
    assert elboroom("train", *following.split()[4:], "--quiet").code == 0
    assert recorder.epochs == in_file(Run(tmp_path / "run"))
    assert recorder.ends == ["interrupted", "done"]


def test_a_second_ctrl_c_ends_at_once(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_training, "train", pressing(2))
    outcome = elboroom("train", *small, "--out", tmp_path / "run")
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err.endswith("\nerror: interrupted by SIGINT\n")
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.filterwarnings("always:training starts from the beginning")
def test_a_run_without_a_checkpoint_can_be_resumed(elboroom: Command, trained: Path, run: Path):
    shutil.rmtree(run / "checkpoints")
    outcome = elboroom("train", "--resume", run, "--quiet")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == (
        f"warning: training starts from the beginning: {run}/metrics.jsonl has lines of 2 epochs, "
        "and there is no checkpoint of them\n"
    )
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)


def test_resuming_a_finished_run_changes_nothing(elboroom: Command, trained: Path, run: Path):
    outcome = elboroom("train", "--resume", run)
    assert outcome.code == 0
    assert outcome.err.startswith("trained: test ELBO ")
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)


@pytest.mark.filterwarnings("always:.* has lost these epochs")
@pytest.mark.parametrize("left", [0, 1])
def test_a_finished_run_that_has_lost_metrics_is_finished(elboroom: Command, run: Path, left: int):
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:left]))
    outcome = elboroom("train", "--resume", run)
    assert outcome.code == 0
    assert "has lost these epochs" in outcome.err
    assert outcome.err.endswith(
        f"trained: step 12, whose metrics are lost; the run is in {run}\n"
        f"next: elboroom report {run}\n"
    )


@pytest.mark.parametrize(
    "other",
    [
        ["--epochs", "1"],
        ["--preset", "mnist"],
        ["--out", "elsewhere"],
        ["--seed", "1"],
        ["--epochs", "9", "--seed", "1"],
    ],
)
def test_a_resumed_run_takes_no_other_options(elboroom: Command, run: Path, other: list[str]):
    assert error(elboroom("train", "--resume", run, *other), 2) == [
        "found other options with --resume; expected none, or more --epochs alone",
        "a resumed run continues as if it had never stopped, with its original options",
        f"use `elboroom train --resume {run}`, add --epochs, or train a new run; --init-from "
        "starts a new run from its weights",
    ]


def test_a_finished_run_goes_on_to_more_epochs(elboroom: Command, run: Path, trained: Path):
    assert elboroom("train", "--resume", run, "--epochs", 4, "--quiet") == (0, "", "")
    assert [row["epoch"] for row in metrics(run)] == [1, 2, 3, 4]
    assert metrics(run)[:2] == metrics(trained)
    assert Run(run).config.train.epochs == 4
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")


def test_a_new_run_starts_from_the_weights_of_another(
    elboroom: Command, small: list[str], trained: Path, tmp_path: Path
):
    options = [*small, "--init-from", trained, "--quiet", "--out", tmp_path / "run"]
    assert elboroom("train", *options) == (0, "", "")
    run = Run(tmp_path / "run")
    assert run.config.model == Run(trained).config.model  # 16 hidden units, unasked
    assert metrics(run.path)[0]["elbo"] > metrics(trained)[-1]["elbo"] - 1


def test_resuming_accepts_options_equal_to_those_of_the_run(elboroom: Command, run: Path):
    assert elboroom("train", "--resume", run, "--epochs", 2, "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    "command",
    [["train", "--resume"], ["evaluate"], ["figures"], ["report"], ["complete", "--mask=top"]],
)
def test_a_folder_without_a_config_is_refused(
    elboroom: Command, tmp_path: Path, command: list[str]
):
    assert error(elboroom(*command, tmp_path), 1) == [
        f"{tmp_path} is not a run",
        "it has no config.toml",
        "give the folder that `elboroom train` printed, such as runs/reference-…",
    ]


def corrupt(run: Path, step: str) -> None:
    path = run / "checkpoints" / step / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.filterwarnings("always")
def test_a_corrupted_checkpoint_is_replaced_by_the_one_before_it(
    elboroom: Command, trained: Path, run: Path
):
    model, state = Run(run).load_training(Run(run).load_data())
    older = json.loads(last_checkpoint(run)["manifest.json"])["step"]
    state.step = older + 1
    Run(run).write_checkpoint(capture(model, state))
    corrupt(run, f"step-{older + 1:06d}")
    warning = (
        f"warning: the checkpoint step-{older:06d} of {run} is used, since others are broken: "
        f"step-{older + 1:06d}: model.safetensors does not match its manifest\n"
    )
    assert elboroom("evaluate", run, "--json").err == warning
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", warning)
    corrupt(run, f"step-{older:06d}")
    assert error(elboroom("evaluate", run), 1) == [
        f"no checkpoint of {run} can be used",
        f"step-{older + 1:06d}: model.safetensors does not match its manifest; "
        f"step-{older:06d}: model.safetensors does not match its manifest",
        "train the run again",
    ]


@pytest.mark.filterwarnings("always")
def test_resuming_with_another_version_of_torch_warns(elboroom: Command, run: Path):
    path = run / "config.toml"
    path.write_text(path.read_text().replace(f'torch = "{torch.__version__}"', 'torch = "1.0"'))
    assert elboroom("train", "--resume", run, "--quiet") == (
        0,
        "",
        f"warning: {run} was started with torch 1.0, now {torch.__version__}: "
        "training resumes from the same state, but the result will not be the same bit for bit\n",
    )
