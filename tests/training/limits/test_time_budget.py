"""How many epochs fit into a time, on a clock that goes on by a second whenever it is read."""

import warnings
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from elboroom.config import ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.limits import time_budget
from elboroom.training.limits.time_budget import epochs_within
from elboroom.training.loop import TrainState

CONFIG = TrainConfig(epochs=1_000, batch_size=10, device="cpu", precision="fp32")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch):
    """The clock: a step of training reads it once."""
    ticks = count()
    monkeypatch.setattr(
        time_budget, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    )


def data_of(images: int) -> Dataset:
    part = Part(torch.ones(images, 4), None)
    return Dataset(Identity("ones", "", "none", "standard", images), part, None, part)


def new_model() -> VAE:
    config = ModelConfig(latents=1, hidden=(3,))
    return VAE.from_config(config, (4,), generator=stream(0, "weights"))


def test_the_epochs_fill_the_time_that_the_trial_left():
    # 600 s: the trial reads the clock at steps 0 … 25 and twice outside, 50 steps are an epoch
    assert epochs_within(10, new_model(), data_of(500), CONFIG) == (600 - 30) // 50


def test_a_short_last_batch_is_a_step():
    assert epochs_within(10, new_model(), data_of(491), CONFIG) == (600 - 30) // 50


def test_the_epochs_asked_for_are_the_most():
    few = TrainConfig(epochs=3, batch_size=10, device="cpu", precision="fp32")
    assert epochs_within(10, new_model(), data_of(500), few) == 3


def test_a_single_step_can_be_timed():
    one = TrainConfig(epochs=1, batch_size=10, device="cpu", precision="fp32")
    assert epochs_within(10, new_model(), data_of(10), one) == 1


def test_the_model_stays_as_it_is():
    model = new_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    epochs_within(10, model, data_of(500), CONFIG)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_patience_does_not_end_the_trial():
    x = (torch.rand(20, 4, generator=stream(0, "bits")) < 0.5).float()
    held_out = Part(x[10:], None)
    data = Dataset(Identity("bits", "", "none", "standard", 10), Part(x[:10], None), None, held_out)
    config, patient = (replace(CONFIG, evaluate_every=1, patience=n) for n in (None, 1))
    whole = epochs_within(10, new_model(), data, config)
    assert epochs_within(10, new_model(), data, patient) == whole


def test_the_trial_gives_no_warnings():
    warned_of = replace(CONFIG, epochs=2, warmup=3.0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert epochs_within(10, new_model(), data_of(500), warned_of) == 2
    assert found == []


def test_what_is_maximised_is_what_is_timed(monkeypatch: pytest.MonkeyPatch):
    seen, train = [], time_budget.train

    def watched(*given: Any, **options: Any) -> TrainState:
        seen.append(options["objective"])
        return train(*given, **options)

    monkeypatch.setattr(time_budget, "train", watched)
    objective = ObjectiveConfig(objective="iwae", k=5)
    epochs_within(10, new_model(), data_of(500), CONFIG, objective=objective)
    assert seen == [objective]


def test_less_than_an_epoch_is_refused():
    with pytest.raises(UsageError) as error:
        epochs_within(0.5, new_model(), data_of(500), CONFIG)
    assert str(error.value) == (
        "--minutes 0.5 is less than one epoch takes\n"
        "  why: an epoch of 500 rows takes 50 s here\n"
        "  fix: allow more minutes, or use a smaller --hidden (--channels with "
        "--network conv), or a larger --batch-size"
    )
