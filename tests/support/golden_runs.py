"""Golden runs, one of each format: every later version must load, evaluate and resume them.

`python -m tests.support.golden_runs` makes one. It is a folder `golden/VERSION` with the data, a
run that was stopped within an epoch and evaluated, and `expected.json`, what must be read from it.
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
from safetensors.torch import load as load_tensors

from elboroom import __version__, evaluate
from elboroom.config import Config, DataConfig, ModelConfig, TrainConfig
from elboroom.data import load_data
from elboroom.runs.autosave import Autosave
from elboroom.runs.doctor.run_folder import check_run
from elboroom.runs.run import Run
from elboroom.training.loop import train
from elboroom.training.state import TrainState
from tests.support.repository import ROOT

FOLDER = ROOT / "tests" / "golden"
GOLDEN = sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) if FOLDER.exists() else []
CONFIG = Config(
    DataConfig("digits.npz", validation=6),
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
STOPPED = 22  # steps; an epoch has six
SAMPLES, TOLERANCE = 20, 1e-3  # nats per image, of what another processor rounds otherwise


def make(folder: Path) -> None:
    """Make a golden run of this version in a new `folder`."""
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
    """Train up to a step; save after each epoch and at the end."""
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
    """Return what every later version must read from it, and where training must end."""
    with TemporaryDirectory() as folder:
        ended = Run(shutil.copytree(run.path, Path(folder) / "run"))
        end = _train(ended, 10**9).history[-1]
    return {
        "weights": {"newest": _digest(run, best=False), "best": _digest(run, best=True)},
        "history": [asdict(metrics) for metrics in run.metrics.history()],
        "end": {"step": end.step, "held_out_elbo": end.held_out_elbo},
    }


def _digest(run: Run, *, best: bool) -> str:
    """Return a hash of the names and the bits of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(run.load_model(best=best).state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def faults(version: str, folder: Path) -> list[str]:
    """Copy the golden run of a version to `folder`, and return what is wrong with it."""
    shutil.copytree(FOLDER / version, folder)
    with chdir(folder), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", ".* was started with ")  # another PyTorch
        expected, run = json.loads(Path("expected.json").read_text()), Run("run")
        found = [str(finding) for finding in check_run(Path("run")) if finding.damage]
        digests = {best: _digest(run, best=best == "best") for best in expected["weights"]}
        found += ["other weights"] * (digests != expected["weights"])
        history = [asdict(metrics) for metrics in run.metrics.history()]
        found += ["another history"] * (history != expected["history"])
        before, now = run.results.read_evaluation(), _evaluated(run).to_dict()
        found += [] if before and _close(before["estimates"], now["estimates"]) else ["an ELBO"]
        end = _train(run, 10**9).history[-1]
        ended = {"step": end.step, "held_out_elbo": end.held_out_elbo}
        found += [] if _close(expected["end"], ended) else [f"another end: {ended}"]
        found += [str(warning.message) for warning in warned]
    return [f"{version}: {wrong}" for wrong in found]


def _close(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Compare numbers of the same names."""
    means = [
        {name: value["mean"] if isinstance(value, dict) else value for name, value in found.items()}
        for found in (a, b)
    ]
    return all(abs(value - means[1][name]) <= TOLERANCE for name, value in means[0].items())


def layout(folder: Path) -> dict[str, Any]:
    """Return the names of all files in a golden run, and the names within them."""
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
    """Return the names of a table, and of the tables within it."""
    return {k: _names(v) for k, v in found.items()} if isinstance(found, dict) else None


if __name__ == "__main__":
    make(FOLDER / __version__)
