"""Weights & Biases, offline."""

from pathlib import Path

import pytest

from elboroom import Config, DataConfig, ModelConfig, Run, train_run
from elboroom.data import load_data
from tests.support.tracked_runs import QUICK, stop_at

pytest.importorskip("wandb")


def test_an_offline_run_is_in_the_run_folder_and_keeps_its_id(tmp_path: Path, digits: Path):
    data = DataConfig(source=str(digits), binarisation="threshold")
    config = Config(data=data, model=ModelConfig(hidden=(8,)), train=QUICK)
    run = Run.create(tmp_path / "run", config, load_data(config.data))
    train_run(run, track=["wandb"], stop=stop_at(8))
    train_run(run, track=["wandb"])
    parts = [path.name.split("-") for path in (run.path / "wandb").glob("offline-run-*-*")]
    assert len({part[-1] for part in parts}) == 1
    assert [*(run.path / "wandb").glob("offline-run-*/files/media/images/samples*.png")]
