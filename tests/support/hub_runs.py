"""Runs of each kind that is published, whose weights are unlike those that training begins with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elboroom.config import Config, DataConfig, ModelConfig, TrainConfig
from elboroom.data import load_data
from elboroom.model.factory import NetworkFactory
from elboroom.runs.checkpoints import capture
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.explored_runs import CONV, LADDER, people, two_coloured_shapes, two_shapes
from tests.support.own_networks import own_pair

Maker = Callable[[Path], Run]


def published_run(path: Path, source: Path, **options: Any) -> Run:
    """Make a run with a checkpoint of two steps, after which every weight is another."""
    run = brief_run(path, source, **options)
    move_weights(run, 2)
    return run


def move_weights(run: Run, step: int, network: NetworkFactory | None = None) -> None:
    """Write a checkpoint of other weights at a step."""
    opened = Run(run.path, network=network)
    model, state = opened.new_training(opened.load_data())
    noise = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=noise)
    state.step = step
    opened.write_checkpoint(capture(model, state))


def _shapes(folder: Path, **model: Any) -> Run:
    return published_run(folder / "run", two_shapes(folder / "secret shapes.npz"), **model)


def _colours(folder: Path, **model: Any) -> Run:
    return published_run(folder / "run", two_coloured_shapes(folder / "secret.npz"), **model)


def _table(folder: Path) -> Run:
    source, types = people(folder)
    return published_run(folder / "run", source, data={"columns": str(types)}, latents=2)


def _vectors(folder: Path) -> Run:
    np.save(folder / "secret.npy", np.random.default_rng(1).normal(3, 2, (60, 4)))
    return published_run(folder / "run", folder / "secret.npy", posterior="flow", prior="mixture")


def own_run(folder: Path) -> Run:
    """Make a run of networks of the user's."""
    images = np.random.default_rng(0).random((40, 8, 8)) < 0.5
    np.save(folder / "own.npy", images.astype("u1"))
    data = DataConfig(source=str(folder / "own.npy"))
    train = TrainConfig(epochs=1, threads=1, device="cpu")
    config = Config(data=data, model=ModelConfig(likelihood="bernoulli"), train=train)
    run = Run.create(folder / "own", config, load_data(data), network=own_pair)
    move_weights(run, 1, own_pair)
    return Run(run.path, network=own_pair)


MAKERS: dict[str, Maker] = {
    "mlp": _shapes,
    "conv": lambda folder: _colours(folder, **CONV, likelihood="discretized-logistic"),
    "ladder": lambda folder: _shapes(folder, **LADDER),
    "vamp": lambda folder: _shapes(folder, prior="vamp", components=5),
    "laplace": lambda folder: _shapes(folder, posterior="laplace"),
    "table": _table,
    "vectors": _vectors,
}
