"""`elboroom.resolve`: options that depend on the machine become numbers."""

from dataclasses import replace
from typing import Any

import pytest

from elboroom import Config, ModelConfig, ObjectiveConfig, TrainConfig, resolve
from elboroom.data import Dataset
from elboroom.errors import TrainingError
from elboroom.training import resolve as module
from elboroom.training.initial_model import new_model
from elboroom.training.limits.batch_size import BatchSize

RESOLVE = "elboroom.training.resolve"
CONFIG = Config(
    model=ModelConfig(hidden=(3,)),
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
        return BatchSize(64, 1, 2)

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


def test_the_initial_model_is_built_once(
    mnist: Dataset, limits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    built: list[Config] = []

    def build(config: Config, data: Dataset) -> Any:
        built.append(config)
        return new_model(config, data)

    monkeypatch.setattr(f"{RESOLVE}.new_model", build)
    resolve(CONFIG, mnist)
    assert built == [CONFIG]
    assert limits["fit"][0] is limits["epochs"][1]


def test_a_config_of_numbers_is_returned_as_it_is(mnist: Dataset, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> None:
        raise AssertionError("no model is needed")

    monkeypatch.setattr(f"{RESOLVE}.new_model", fail)
    config = replace(CONFIG, train=TrainConfig(), minutes=None)
    assert resolve(config, mnist) is config


def test_each_choice_has_a_reason(mnist: Dataset, limits: dict[str, Any]):
    reasons = module.resolve_with_reasons(CONFIG, mnist)[1]
    assert list(reasons) == ["batches", "epochs"]
    assert reasons["batches"] == str(BatchSize(64, 1, 2))
    assert reasons["epochs"] == "7, as many as fit into 2 minutes, or all of --epochs"
    only_minutes = replace(CONFIG, train=TrainConfig())
    assert list(module.resolve_with_reasons(only_minutes, mnist)[1]) == ["epochs"]


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
