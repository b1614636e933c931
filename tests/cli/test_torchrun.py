"""Commands that torchrun starts in several processes."""

import json
import os
import re
import signal
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.device import World
from tests.support.command import Command
from tests.support.ranks import TORCHRUN, torchrun
from tests.support.repository import ROOT

MODULE = "tests.cli.ranks_in_trouble"
FILES = ("model.safetensors", "optimizer.safetensors")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("data") / "x.npy"
    np.save(path, np.random.default_rng(0).random((300, 8, 8)) < 0.3)
    data = ["--data", str(path), "--validation", "0", "--hidden", "6", "--latents", "2"]
    return [*data, "--batch-size", "50", "--epochs", "6", "--threads", "1", "--warmup", "0"]


@pytest.fixture(scope="module")
def undisturbed(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by two processes."""
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    saving = ["--checkpoint-minutes", "0.0001", "--resume-or-start", path]
    done = torchrun(2, MODULE, "none", "train", *options, *saving)
    assert done.returncode == 0, done.stderr
    (path.parent / "stderr.txt").write_text(done.stderr)
    return path


def last(run: Path) -> dict[str, bytes]:
    """The content of the newest checkpoint."""
    path = max((run / "checkpoints").iterdir())
    return {name: (path / name).read_bytes() for name in FILES}


def epochs(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) | {"images_per_second": None} for line in lines]


def test_the_first_process_alone_writes_and_prints(undisturbed: Path):
    printed = (undisturbed.parent / "stderr.txt").read_text()
    assert printed.count("epoch 6/6") == printed.count("trained: ") == 1
    assert printed.count("preset: ") == 1
    environment = tomllib.loads((undisturbed / "config.toml").read_text())["environment"]
    assert environment["processes"] == 2
    assert [m["epoch"] for m in epochs(undisturbed)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.full
def test_a_killed_process_is_restarted_and_the_run_ends_at_the_same_bits(
    options: list[str], undisturbed: Path, tmp_path: Path
):
    run = tmp_path / "run"
    saving = ["--checkpoint-minutes", "0.0001", "--resume-or-start", run]
    done = torchrun(2, MODULE, "killed", "train", *options, *saving, options=("--max-restarts=2",))
    assert done.returncode == 0, done.stderr
    assert "error: rank 0: another of the 2 processes was lost" in done.stderr
    assert last(run) == last(undisturbed)
    assert epochs(run) == epochs(undisturbed)


@pytest.mark.full
def test_a_signal_to_one_process_stops_all_and_one_process_may_go_on(
    options: list[str], shell: Command, tmp_path: Path
):
    run = tmp_path / "run"
    done = torchrun(2, MODULE, "terminated", "train", *options, "--out", run)
    assert done.returncode != 0
    assert "stopped at step 11; the run is in" in done.stderr
    again = shell("train", "--resume", run)
    assert again.code == 0
    assert "was started with processes 2, now 1" in again.err
    assert [m["epoch"] for m in epochs(run)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.full
def test_a_signal_to_torchrun_stops_and_saves(options: list[str], tmp_path: Path):
    run, more = tmp_path / "run", ["--epochs", "100000", "--out", str(tmp_path / "run")]
    line = [*TORCHRUN, "--nproc-per-node=2", "-m", "elboroom", "train", *options, *more]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT)
    until = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.1)
    started.send_signal(signal.SIGTERM)
    _, printed = started.communicate(timeout=60)
    assert "stopped at step " in printed
    assert last(run)


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        pytest.param(
            "memory",
            "error: rank 1: memory ran out in training with batches of 50 images",
            marks=pytest.mark.full,
        ),
        pytest.param("disk", "cannot be written", marks=pytest.mark.full),
    ],
)
def test_trouble_of_one_process_ends_all_with_its_error(
    options: list[str], tmp_path: Path, trouble: str, error: str
):
    began = time.monotonic()
    done = torchrun(2, MODULE, trouble, "train", *options, "--out", tmp_path / "run")
    assert done.returncode != 0
    assert error in done.stderr
    assert "Traceback" not in done.stderr.partition("torch/distributed")[0]
    assert time.monotonic() - began < 60


def test_other_options_than_those_of_the_run_are_refused(
    options: list[str], undisturbed: Path, elboroom: Command
):
    again = elboroom("train", *options, "--resume-or-start", undisturbed, "--latents", "3")
    assert again.code == 2
    assert "latents 3, then 2" in again.err
    assert elboroom("train", "--resume-or-start", undisturbed, "--out", "x").code == 2


def test_a_command_for_one_process_is_refused(
    undisturbed: Path, elboroom: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    refused = elboroom("report", undisturbed)
    assert refused.code == 2
    assert "error: rank 1: `elboroom report` is for one process" in refused.err


@pytest.mark.parametrize(("size", "ended"), [(2, [2]), (1, [])])
def test_a_process_that_fails_among_others_does_not_wait_for_its_threads(
    elboroom: Command, monkeypatch: pytest.MonkeyPatch, size: int, ended: list[int]
):
    codes = list[int]()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("elboroom.device.world", lambda: World(0, size))
    monkeypatch.setattr("os._exit", codes.append)
    assert elboroom("report", "nowhere").code == 2
    assert codes == ended


def _lines(run: Path, out: Path) -> list[str]:
    look = f"{run} --part train"
    return [
        f"evaluate {look} --k 20 --ais 60 --certify 60 --distributions 5 --out {out}/evaluate.npz",
        f"evaluate {run} --k 20",
        f"evaluate {look} --k 20 --k-all 5 --error 0.01 --out {out}/subset.npz",
        f"infer {look} --mask top --method encoder --out {out}/infer.npz",
        f"gaps {look} --images 60 --k 100 --method svi-full --json",
        f"complete {look} --mask top --method encoder --index {' '.join(map(str, range(20)))}",
        f"complete {look} --mask left --method encoder --out {out}/filled.npz",
    ]


def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays}
    summary = json.loads(str(found.pop("summary")))
    return {name: array.tobytes() for name, array in found.items()} | {
        "summary": _without_times(summary)
    }


def _without_times(table: Any) -> Any:
    if isinstance(table, dict):
        return {n: _without_times(v) for n, v in table.items() if n not in ("seconds", "run")}
    return table


def _without_seconds(text: str) -> str:
    return re.sub(r"took \d+ s", "took 0 s", text)


@pytest.mark.full  # the same passes are shared in tests of each
def test_the_other_commands_find_what_one_process_finds(
    options: list[str], undisturbed: Path, elboroom: Command, tmp_path: Path
):
    one, three = tmp_path / "one", tmp_path / "three"
    for out in (one, three):
        out.mkdir()
    printed = "".join(elboroom(*line.split(" ")).out for line in _lines(undisturbed, one))
    kept = json.loads((undisturbed / "evaluation.json").read_text())
    explained = " ".join(["train", *options, "--explain"])
    done = torchrun(3, MODULE, "commands", *_lines(undisturbed, three), explained)
    assert done.returncode == 0, done.stderr
    printed = _without_seconds(printed.replace(str(one), str(three)))
    shown = _without_seconds(done.stdout)
    assert "20 for 270 random ones" in shown
    assert shown.startswith(printed)
    choices = shown.removeprefix(printed)
    assert choices.count("processes: 3, which share the 50 images of a step\n") == 1
    assert choices.count("steps: run one by one\n") == 1
    assert _without_times(json.loads((undisturbed / "evaluation.json").read_text())) == (
        _without_times(kept)
    )
    for name in ("evaluate", "subset", "infer", "filled"):
        assert _arrays(one / f"{name}.npz") == _arrays(three / f"{name}.npz"), name
