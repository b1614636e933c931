"""`elboroom.resolve`: options that depend on the data or the machine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import (
    VAE,
    Config,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    TrainConfig,
    load_data,
    resolve,
    train,
)
from elboroom.data import Dataset
from elboroom.errors import DataError, UsageError
from elboroom.training import resolve as module
from elboroom.training.initial_model import new_model
from elboroom.training.limits.batch_size import BatchSize

RNG = np.random.default_rng(0)
RESOLVE = "elboroom.training.resolve"
CONFIG = Config(
    model=ModelConfig(hidden=(3,), likelihood="bernoulli"),
    objective=ObjectiveConfig("iwae", k=2),
    train=TrainConfig(epochs=9, batch_size="auto", device="cpu"),
)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the estimate of memory, and record what it was called with."""
    called: dict[str, Any] = {}

    def fit(model: Any, part: Any, train: Any, *, objective: Any) -> BatchSize:
        called["fit"] = (model, part, train, objective)
        return BatchSize(64, 1, 2, "images")

    monkeypatch.setattr(f"{RESOLVE}.largest_fit", fit)
    return called


def test_an_auto_batch_size_becomes_a_number(mnist: Dataset, limits: dict[str, Any]):
    assert resolve(CONFIG, mnist) == replace(CONFIG, train=replace(CONFIG.train, batch_size=64))
    _, part, train, objective = limits["fit"]
    assert (part, train, objective) == (mnist.train, CONFIG.train, CONFIG.objective)


def test_an_auto_warmup_is_a_quarter_of_the_epochs(mnist: Dataset, limits: dict[str, Any]):
    found = resolve(replace(CONFIG, train=replace(CONFIG.train, warmup="auto")), mnist)
    assert found.train.warmup == 2.25


def test_a_training_by_time_keeps_what_follows_the_time(mnist: Dataset):
    config = replace(CONFIG, train=TrainConfig(epochs="auto", warmup="auto", minutes=2.0))
    assert resolve(config, mnist) == config


def test_training_expects_a_number_as_its_warmup(mnist: Dataset):
    config = replace(CONFIG, train=TrainConfig(warmup="auto"))
    with pytest.raises(UsageError, match=r"call elboroom\.resolve"):
        train(new_model(config, mnist), mnist, config.train)


def test_the_initial_model_is_built_once(
    mnist: Dataset, limits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    built: list[Config] = []

    def build(config: Config, data: Dataset, network: None) -> Any:
        built.append(config)
        return new_model(config, data, network)

    monkeypatch.setattr(f"{RESOLVE}.new_model", build)
    resolve(CONFIG, mnist)
    assert built == [CONFIG]


def test_a_config_of_numbers_is_returned_as_it_is(mnist: Dataset):
    config = replace(CONFIG, train=TrainConfig())
    assert resolve(config, mnist) == config


def test_each_choice_has_a_reason(mnist: Dataset, limits: dict[str, Any]):
    config = replace(CONFIG, train=replace(CONFIG.train, epochs="auto"))
    reasons = module.resolve_run(config, mnist).reasons
    assert list(reasons) == ["batches", "memory", "epochs"]
    assert reasons["batches"] == str(BatchSize(64, 1, 2, "images"))
    assert reasons["epochs"] == "30, which are 28,140 steps"


def data_of(values: np.ndarray, tmp_path: Path) -> Dataset:
    np.save(tmp_path / "x.npy", values)
    return load_data(DataConfig(source=str(tmp_path / "x.npy")))


@pytest.mark.parametrize(
    ("values", "likelihood"),
    [
        (RNG.integers(0, 2, (40, 6)), "bernoulli"),
        (RNG.integers(0, 2, (40, 3, 3)).astype(bool), "bernoulli"),
        (RNG.integers(0, 256, (40, 3, 3), dtype=np.uint8), "discretized-logistic"),
        (RNG.random((40, 6)), "gaussian"),
        (1e6 * RNG.normal(size=(40, 6)), "gaussian"),
        (np.where(RNG.random((40, 6)) < 0.1, np.nan, RNG.normal(size=(40, 6))), "gaussian"),
        (np.where(RNG.random((40, 6)) < 0.1, np.nan, RNG.integers(0, 2, (40, 6))), "bernoulli"),
    ],
)
def test_the_likelihood_follows_from_the_values(
    values: np.ndarray, likelihood: str, tmp_path: Path
):
    data = data_of(values, tmp_path)
    assert resolve(Config(), data).model.likelihood == likelihood
    # Without data the same config makes a Bernoulli model, which refuses other values.
    model = VAE.from_config(Config().model, data.event_shape, generator=torch.Generator())
    if likelihood != "bernoulli":
        with pytest.raises(DataError, match="must be 0 or 1"):
            train(model, data, TrainConfig(epochs=1))


def test_a_likelihood_that_was_asked_for_stays(tmp_path: Path):
    data = data_of(RNG.random((40, 6)), tmp_path)
    asked = replace(Config(), model=ModelConfig(likelihood="continuous-bernoulli"))
    assert resolve(asked, data) == asked


@pytest.mark.parametrize(("batch", "epochs"), [(8, 600), (1, 75), (40, 3_000)])
def test_auto_epochs_are_some_thousand_steps(batch: int, epochs: int, tmp_path: Path):
    data = data_of(RNG.random((44, 6)), tmp_path)
    assert len(data.train) == 40
    asked = replace(Config(), train=TrainConfig(epochs="auto", batch_size=batch))
    assert resolve(asked, data).train.epochs == epochs


def test_auto_epochs_are_thirty_at_least(mnist: Dataset):
    asked = replace(Config(), train=TrainConfig(epochs="auto", batch_size=64))
    assert resolve(asked, mnist).train.epochs == 30


@pytest.mark.parametrize(("side", "batch", "epochs"), [(32, 64, 200), (32, 2, 150), (64, 4, 150)])
def test_auto_epochs_of_convolutions_have_limits(
    side: int, batch: int, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(f"{RESOLVE}._PIXELS", 3_000 * 2 * 64 * 64)
    data = data_of(RNG.integers(0, 256, (44, 1, side, side), dtype=np.uint8), tmp_path)
    model = ModelConfig(network="conv", channels=(1,), hidden=(), latents=1)
    asked = Config(model=model, train=TrainConfig(epochs="auto", batch_size=batch))
    assert resolve(asked, data).train.epochs == epochs


def test_training_refuses_auto_epochs(mnist: Dataset):
    model = new_model(CONFIG, mnist)
    with pytest.raises(UsageError, match=r"elboroom\.resolve"):
        train(model, mnist, TrainConfig(epochs="auto"))
