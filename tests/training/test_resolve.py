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
from elboroom.errors import DataError, TrainingError, UsageError
from elboroom.training import resolve as module
from elboroom.training.initial_model import new_model
from elboroom.training.limits.batch_size import BatchSize

RNG = np.random.default_rng(0)
RESOLVE = "elboroom.training.resolve"
CONFIG = Config(
    model=ModelConfig(hidden=(3,), likelihood="bernoulli"),
    objective=ObjectiveConfig("iwae", k=2),
    train=TrainConfig(epochs=9, batch_size="auto", device="cpu"),
    minutes=2.0,
)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the estimate of memory and the timing, and record what they were called with."""
    called: dict[str, Any] = {}

    def fit(model: Any, part: Any, train: Any, *, objective: Any) -> BatchSize:
        called["fit"] = (model, part, train, objective)
        return BatchSize(64, 1, 2, "images")

    def epochs(minutes: Any, model: Any, data: Any, train: Any, *, objective: Any) -> int:
        called["epochs"] = (minutes, model, data, train, objective)
        return 7

    monkeypatch.setattr(f"{RESOLVE}.largest_fit", fit)
    monkeypatch.setattr(f"{RESOLVE}.epochs_within", epochs)
    return called


def test_auto_and_minutes_become_numbers(mnist: Dataset, limits: dict[str, Any]):
    expected = replace(CONFIG, train=replace(CONFIG.train, batch_size=64, epochs=7), minutes=None)
    assert resolve(CONFIG, mnist) == expected


def test_epochs_are_timed_with_the_batch_size_that_was_found(
    mnist: Dataset, limits: dict[str, Any]
):
    resolve(CONFIG, mnist)
    _, part, train, objective = limits["fit"]
    assert (part, train, objective) == (mnist.train, CONFIG.train, CONFIG.objective)
    minutes, _, data, train, objective = limits["epochs"]
    assert (minutes, data, objective) == (2.0, mnist, CONFIG.objective)
    assert train == replace(CONFIG.train, batch_size=64)


@pytest.mark.parametrize(("epochs", "minutes", "warmup"), [(9, None, 2.25), (9, 2.0, 1.75)])
def test_an_auto_warmup_is_a_quarter_of_the_epochs(
    mnist: Dataset, limits: dict[str, Any], epochs: int, minutes: float | None, warmup: float
):
    asked = replace(CONFIG.train, epochs=epochs, warmup="auto")
    found = resolve(replace(CONFIG, train=asked, minutes=minutes), mnist)
    assert found.train.warmup == warmup
    assert found.train.epochs * 0.25 == warmup


def test_training_expects_a_number_as_its_warmup(mnist: Dataset):
    config = replace(CONFIG, train=TrainConfig(warmup="auto"), minutes=None)
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
    assert limits["fit"][0] is limits["epochs"][1]


def test_a_config_of_numbers_is_returned_as_it_is(mnist: Dataset):
    config = replace(CONFIG, train=TrainConfig(), minutes=None)
    assert resolve(config, mnist) == config


def test_each_choice_has_a_reason(mnist: Dataset, limits: dict[str, Any]):
    reasons = module.resolve_run(CONFIG, mnist).reasons
    assert list(reasons) == ["batches", "memory", "epochs"]
    assert reasons["batches"] == str(BatchSize(64, 1, 2, "images"))
    assert reasons["epochs"] == "7, as many as fit into 2 minutes, or all of --epochs"
    only_minutes = replace(CONFIG, train=TrainConfig())
    assert list(module.resolve_run(only_minutes, mnist).reasons) == ["memory", "epochs"]


def test_memory_that_runs_out_in_the_timing_suggests_a_smaller_batch(
    mnist: Dataset, limits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    def exhausted(*_: Any, **__: Any) -> int:
        raise MemoryError

    monkeypatch.setattr(f"{RESOLVE}.epochs_within", exhausted)
    with pytest.raises(TrainingError, match="--batch-size 32 or less"):
        resolve(CONFIG, mnist)


def test_real_limits_give_numbers(mnist: Dataset):
    small = replace(mnist, train=mnist.train.rows(list(range(100))))
    found = resolve(replace(CONFIG, minutes=0.05), small)
    assert found.train.resolved_batch_size == 64
    assert 1 <= found.train.epochs <= 9
    assert found.minutes is None


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


def test_minutes_take_auto_epochs_at_most(limits: dict[str, Any], tmp_path: Path):
    data = data_of(RNG.random((44, 6)), tmp_path)
    asked = Config(train=TrainConfig(epochs="auto", batch_size=8), minutes=2.0)
    assert resolve(asked, data).train.epochs == 7
    assert limits["epochs"][3].epochs == 600


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
