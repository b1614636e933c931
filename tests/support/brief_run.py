"""Runs on any data that are made in a moment: with a checkpoint of the first weights."""

from pathlib import Path
from typing import Any

from elboroom.config import Config, DataConfig, ModelConfig, TrainConfig
from elboroom.data import load_data
from elboroom.runs.checkpoints import capture
from elboroom.runs.run import Run
from elboroom.training.resolve import resolve
from elboroom.training.state import EpochMetrics


def brief_run(path: Path, source: Path, *, data: dict[str, Any] | None = None, **model: Any) -> Run:
    """Make a run on a source whose decoder begins at the mean of the data, and is not trained."""
    options = DataConfig(source=str(source), **(data or {})).with_absolute_path()
    train = TrainConfig(epochs=1, threads=1, device="cpu", precision="fp32", compile="off")
    loaded = load_data(options)
    defaults = {"hidden": (8,), "data_bias": True}
    config = Config(data=options, model=ModelConfig(**defaults | model), train=train)
    run = Run.create(path, resolve(config, loaded), loaded)
    net, state = run.new_training(loaded)
    state.step = 1
    run.write_checkpoint(capture(net, state))
    run.metrics.record(EpochMetrics(1, 1, -5.0, -4.0, 1.0, -5.0, 1.0, 1e-3, None, 1e4))
    run.metrics.write_pending()
    return run
