"""Early stopping follows from the history alone."""

import math
from dataclasses import replace

import pytest
import torch

from elboroom.config import ModelConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.loop import train
from elboroom.training.safeguards.early_stopping import evaluations_after_warmup, out_of_patience
from elboroom.training.state import EpochMetrics, TrainState


def history(*held_out: float | None) -> list[EpochMetrics]:
    return [
        EpochMetrics(i, i, -90.0, -80.0, 10.0, -90.0, 1.0, 1e-3, elbo, 1e4)
        for i, elbo in enumerate(held_out, 1)
    ]


@pytest.mark.parametrize(
    ("patience", "held_out", "out"),
    [
        (None, [-1, -2, -3, -4], False),
        (1, [], False),
        (1, [-3], False),
        (1, [-3, -2], False),
        (1, [-3, -2, -2.5], True),
        (1, [-3, None, -2, None, None], False),  # an epoch without an evaluation is none
        (1, [-3, None, -4], True),
        (2, [-3, -2, -2.5], False),
        (2, [-3, -2, -2.5, -2], True),  # as good as the best is no new best
        (2, [-3, -2, -2.5, -1.9], False),
        (2, [-1, -2, -1.5], True),
        (1, [math.nan, -2], False),
        (1, [-2, math.nan], True),
        (1, [math.nan, math.nan], True),
    ],
)
def test_patience_is_out_after_so_many_evaluations_without_a_new_best(
    patience: int | None, held_out: list[float | None], out: bool
):
    assert out_of_patience(history(*held_out), TrainConfig(patience=patience)) is out


def test_evaluations_before_the_end_of_the_warmup_do_not_count():
    elbos = history(-1, -4, None, -3, -3.5)
    config = TrainConfig(patience=1, warmup=2)
    assert [(m.epoch, elbo) for m, elbo in evaluations_after_warmup(elbos, config)] == [
        (2, -4),
        (4, -3),
        (5, -3.5),
    ]
    assert not out_of_patience(elbos[:4], config)
    assert out_of_patience(elbos, config)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Fair bits, of which there is nothing to learn but by heart."""
    x = (torch.rand(80, 1, 4, 4, generator=stream(0, "bits")) < 0.5).to(torch.uint8)
    identity = Identity("random", "0", "none", "standard", 40)
    return Dataset(identity, Part(x[:40], None), None, Part(x[40:], None))


CONFIG = TrainConfig(
    epochs=60, batch_size=10, learning_rate=0.02, evaluate_every=2, device="cpu", threads=1
)


def trained(data: Dataset, config: TrainConfig) -> tuple[VAE, TrainState]:
    model = VAE.from_config(ModelConfig(2, (20,)), (1, 4, 4), generator=stream(0, "weights"))
    return model, train(model, data, config)


def without_pace(history: list[EpochMetrics]) -> list[EpochMetrics]:
    return [replace(m, images_per_second=0.0) for m in history]


def test_training_stops_early_where_the_history_runs_out_of_patience(data: Dataset):
    config = replace(CONFIG, patience=3)
    whole, (model, early) = trained(data, CONFIG)[1].history, trained(data, config)
    lost = next(i for i in range(1, 61) if out_of_patience(whole[:i], config))
    assert 8 <= lost < 60
    assert without_pace(early.history) == without_pace(whole[:lost])
    assert early.step == 4 * lost
    weights = [p.detach().clone() for p in model.parameters()]
    assert train(model, data, config, state=early).step == 4 * lost
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
