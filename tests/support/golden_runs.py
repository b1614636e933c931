"""Golden runs: one of every released format, which later versions must still load and resume.

Each folder `golden/VERSION` holds the data, a run that was stopped within an epoch and evaluated,
and `expected.json`, what must be read from it. `python -m tests.support.golden_runs` makes one.
"""

import hashlib
import json
import shutil
import tomllib
import warnings
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from safetensors.torch import load as load_tensors

from elboroom import __version__, evaluate
from elboroom.config import Config, DataConfig, ModelConfig, TrainConfig
from elboroom.data import load_data
from elboroom.runs.autosave import Autosave
from elboroom.runs.doctor.run_folder import check_run
from elboroom.runs.run import Run
from elboroom.training.loop import train
from elboroom.training.state import EpochMetrics, TrainState
from tests.support.repository import ROOT

FOLDER = ROOT / "tests" / "golden"
GOLDEN = sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) if FOLDER.exists() else []
CONFIG = Config(
    DataConfig("digits.npz", "threshold", "standard", validation=6),
    ModelConfig(2, (4,), normalisation="batch", prior="mixture", components=3),
    train=TrainConfig(
        epochs=5,
        batch_size=9,
        learning_rate=1e-2,
        evaluate_every=1,
        precision="fp32",
        threads=1,
        device="cpu",
    ),
)
STOPPED = 22  # steps, of which an epoch has six
SAMPLES = 20
# How far another processor's rounding may move a number, in nats per image. It was measured over
# the eight steps that follow the stop, with each weight moved at every step by up to r rounding
# units of float32 (2⁻²⁴ of itself) at random; the largest of 24 shifts:
#     r = 1: 1.5e-7 in training, 0.008 held out; r = 100: 5e-6 in training, 0.011 held out.
# ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA, MKL_CBWR and the number of threads move it as r = 1 does.
# The held-out ELBO moves more, and hardly with r: a bias before batch normalisation has no
# gradient but rounding, of which Adam makes whole steps, and the running mean follows it late.
# Each tolerance is twice or three times the shift at r = 100. A learning rate 1 % higher moves the
# ELBO in training by 7e-4; running means that are lost move the held-out ELBO by 0.08.
ROUNDING, HELD_OUT_ROUNDING = 1e-5, 0.03


def make(folder: Path) -> None:
    """Make a golden run of this version in `folder`, which does not exist yet."""
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (66, 4, 4), np.uint8)
    np.savez(folder / "digits.npz", images=images, labels=np.arange(66) % 10)
    with chdir(folder), patch("platform.platform", return_value="Linux"):
        run = Run.create("run", CONFIG, load_data(CONFIG.data))
        _train(run, STOPPED)
        found = _evaluated(run)
        evaluation = run.results.provenance(STOPPED) | found.to_dict()
        run.results.write_evaluation(evaluation, found.per_image)
        (folder / "expected.json").write_text(json.dumps(_expected(run), indent=2) + "\n")


def _train(run: Run, until: int) -> TrainState:
    """Resume the run and train up to a step; save each epoch and the end."""
    data = run.load_data()
    model, state = run.load_training(data)
    autosave = Autosave(run, model, state)

    def on_epoch(state: TrainState) -> None:
        autosave.on_epoch(state)
        autosave.save(state)

    stop = {"stop": lambda: state.step >= until}
    train(model, data, run.config.train, state=state, on_epoch=on_epoch, **stop)
    autosave.save(state)
    return state


def _evaluated(run: Run) -> Any:
    return evaluate(run.load_model(), run.load_data(), k=SAMPLES, seed=0)


def _expected(run: Run) -> dict[str, Any]:
    """Return what every later version must read from the run, and where it must end."""
    with TemporaryDirectory() as folder:
        ended = Run(shutil.copytree(run.path, Path(folder) / "run"))
        end = _end(_train(ended, 10**9))
    return {
        "weights": {"newest": _digest(run, best=False), "best": _digest(run, best=True)},
        "history": [asdict(metrics) for metrics in run.metrics.history()],
        "end": end,
    }


def _end(state: TrainState) -> dict[str, Any]:
    """Return what is compared of a run that was resumed: its ELBO in training since the stop too.

    The first of these epochs was begun before the stop, so that its sums come from the checkpoint.
    """
    resumed = [metrics for metrics in state.history if metrics.step > STOPPED]
    return {
        "step": state.step,
        "elbo": [metrics.elbo for metrics in resumed],
        "held_out_elbo": resumed[-1].held_out_elbo,
    }


def _digest(run: Run, *, best: bool) -> str:
    """Hash the names and the bits of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(run.load_model(best=best).state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def faults(version: str, folder: Path) -> list[str]:
    """Copy the golden run of a version to `folder`, read and resume it, and list what is wrong."""
    shutil.copytree(FOLDER / version, folder)
    with chdir(folder), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", ".* was started with ")  # another PyTorch
        expected, run = json.loads(Path("expected.json").read_text()), Run("run")
        found = [str(finding) for finding in check_run(Path("run")) if finding.damage]
        digests = {best: _digest(run, best=best == "best") for best in expected["weights"]}
        found += ["other weights"] * (digests != expected["weights"])
        history = [EpochMetrics(**metrics) for metrics in expected["history"]]
        found += ["another history"] * (history != run.metrics.history())
        before, now = run.results.read_evaluation(), _evaluated(run).to_dict()
        same = before and _same_estimates(before["estimates"], now["estimates"])
        found += [] if same else ["an ELBO"]
        end = _end(_train(run, 10**9))
        found += [] if _same_end(expected["end"], end) else [f"another end: {end}"]
        found += [str(warning.message) for warning in warned]
    return [f"{version}: {wrong}" for wrong in found]


def _same_estimates(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether estimates of the same names agree but for rounding."""
    return a.keys() == b.keys() and all(
        abs(a[name]["mean"] - b[name]["mean"]) <= ROUNDING for name in a
    )


def _same_end(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two runs ended alike but for rounding."""
    return (
        a["step"] == b["step"]
        and a["elbo"] == pytest.approx(b["elbo"], rel=0, abs=ROUNDING)
        and abs(a["held_out_elbo"] - b["held_out_elbo"]) <= HELD_OUT_ROUNDING
    )


def layout(folder: Path) -> dict[str, Any]:
    """List the files of a golden run, each with the names that it holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): _inside(file) for file in files}


def _inside(file: Path) -> Any:
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        return sorted(load_tensors(content))
    if file.suffix == ".npz":
        return sorted(np.load(file))
    if file.suffix == ".toml":
        return _names(tomllib.loads(content.decode()))
    if file.suffix == ".jsonl":
        return [_names(json.loads(line)) for line in content.splitlines()]
    return _names(json.loads(content)) if file.suffix == ".json" else None


def _names(found: Any) -> Any:
    """Return the keys of a table and of the tables in it."""
    return {k: _names(v) for k, v in found.items()} if isinstance(found, dict) else None


if __name__ == "__main__":
    make(FOLDER / __version__)
