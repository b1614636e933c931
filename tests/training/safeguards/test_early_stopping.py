"""Early stopping follows from the history alone."""

import math
from dataclasses import replace

import pytest
import torch

from elboroom.config import ModelConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs.checkpoints import capture
from elboroom.runs.checkpoints.tensors import expected_tensors, from_tensors, to_tensors
from elboroom.training.loop import train
from elboroom.training.safeguards.early_stopping import (
    evaluations_after_warmup,
    final_epoch,
    out_of_patience,
)
from elboroom.training.state import EpochMetrics, TrainState, new_state


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


def test_evaluations_of_moved_images_do_not_count_where_the_last_images_are_not_moved():
    elbos = history(-1, -4, -3, -3.5)
    moved = TrainConfig(epochs=5, patience=1, flip=True)
    assert out_of_patience(elbos[:2], moved)
    ends = replace(moved, augment_until=0.4)
    found = [out_of_patience(elbos[:epochs], ends) for epochs in (1, 2, 3, 4)]
    assert found == [False, False, False, True]
    assert final_epoch(elbos, replace(ends, keep_best=True)) is elbos[0]


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


def overfitted(config: TrainConfig, stop_at: int | None = None) -> tuple[VAE, TrainState]:
    """Train until the held-out ELBO has long fallen, in one go or stopped and resumed."""
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(40, 1, 4, 4, generator=g) < 0.5).to(torch.uint8)
    identity = Identity("x", "0", "none", "standard", 20)
    data = Dataset(identity, Part(x[:20], None), None, Part(x[20:], None))
    model = VAE.from_config(ModelConfig(2, (32,)), (1, 4, 4), generator=stream(0, "weights"))
    if stop_at is None:
        return model, train(model, data, config)
    state = new_state(model)
    train(model, data, config, state=state, stop=lambda: state.step >= stop_at)
    return model, train(model, data, config, state=state)


KEPT = TrainConfig(
    epochs=60,
    batch_size=10,
    learning_rate=1e-2,
    evaluate_every=5,
    keep_best=True,
    threads=1,
    device="cpu",
    precision="fp32",
    compile="off",
)


def test_the_weights_of_the_best_held_out_elbo_are_kept():
    model, state = overfitted(KEPT)
    best = final_epoch(state.history, KEPT)
    assert best is not None
    assert best.epoch < 60
    alone, _ = overfitted(replace(KEPT, keep_best=False, epochs=best.epoch))
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, alone.state_dict()[name]), name


@pytest.mark.parametrize("stop_at", [3, 101])
def test_a_stop_changes_nothing_about_the_weights_that_are_kept(stop_at: int):
    model, _ = overfitted(KEPT)
    resumed, _ = overfitted(KEPT, stop_at)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_the_weights_that_are_kept_are_saved_with_the_state():
    model, state = overfitted(KEPT)
    assert state.best is not None
    assert capture(model, state).weights_step == state.best.step < state.step
    saved = {name: tensor.clone() for name, tensor in to_tensors(model, state).items()}
    other = VAE.from_config(ModelConfig(2, (32,)), (1, 4, 4), generator=stream(1, "weights"))
    back = new_state(other)
    assert any(saved.keys() == expected.keys() for expected in expected_tensors(other, back))
    from_tensors(other, back, state.step, saved)
    assert back.best is not None
    assert back.best.step == state.best.step
    for name, weight in state.best.tensors.items():
        assert torch.equal(back.best.tensors[name], weight)


def test_without_the_option_the_last_weights_stay():
    config = replace(KEPT, keep_best=False)
    _, state = overfitted(config)
    assert state.best is None
    assert final_epoch(state.history, config) is state.history[-1]
    assert final_epoch([], KEPT) is None
