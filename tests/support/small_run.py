"""A small data set, and a small run that has every file a run may have."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from elboroom.config import Config, DataConfig, ModelConfig, TrainConfig
from elboroom.data import load_data
from elboroom.runs.checkpoints import capture
from elboroom.runs.run import Run
from elboroom.training.state import EpochMetrics

MODEL = ModelConfig(hidden=(5,))
EVALUATION = {
    "k": 5,
    "unit": "nats per image",
    "kl_sampled": False,
    "estimates": {"elbo": {"mean": -1.5, "standard_error": 0.25}},
}


def write_digits(path: Path) -> Path:
    """Write a .npz of 300 grey images, 8 × 8, in ten classes; 30 become the test part."""
    images = np.random.default_rng(0).random((300, 8, 8), dtype=np.float32)
    np.savez(path, images=images, labels=np.arange(300) % 10)
    return path


def small_options(digits: Path) -> list[str]:
    """Return the options of a training on these digits that takes a moment."""
    model = ["--data", str(digits), "--binarisation", "threshold", "--hidden", "16"]
    preset = ["--preset", "reference"]
    return [*model, "--batch-size", "50", "--epochs", "2", "--threads", "1", *preset]


def small_run(path: Path) -> Path:
    """Copy a run on 4 × 4 images to `path`: two checkpoints, metrics, an evaluation, a figure."""
    return Path(shutil.copytree(_template(), path))


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    np.save(folder / "my.npy", np.arange(320, dtype=np.uint8).reshape(20, 4, 4))
    data = DataConfig(source=str(folder / "my.npy"), binarisation="threshold")
    config = Config(data=data, model=MODEL, train=TrainConfig(epochs=9, threads=1, device="cpu"))
    run = Run.create(folder / "run", config, load_data(data))
    model, state = run.new_training(run.load_data())
    for step in (1, 2):
        state.step = step
        run.write_checkpoint(capture(model, state))
        run.metrics.record(EpochMetrics(step, step, -5.25, -4.0, 1.25, -5.25, 1.0, 1e-3, None, 1e4))
    evaluation = run.results.provenance(2) | EVALUATION
    run.results.write_evaluation(evaluation, {"elbo": torch.zeros(2)})
    run.results.write_figure("samples", Figure(figsize=(1, 1)), 2)
    return run.path
