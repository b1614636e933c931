"""Warnings of collapse and overfitting: in the epoch that shows them, once, and not before."""

import warnings
from collections.abc import Sequence

import pytest
import torch

from elboroom.config import ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.loop import train
from elboroom.training.safeguards import collapse_and_overfitting
from elboroom.training.safeguards.collapse_and_overfitting import warn_of_symptoms
from elboroom.training.state import EpochMetrics

CONFIG = TrainConfig(epochs=100)
STEPS = 100  # an epoch


def metrics(
    epoch: int, *, kl: float = 10.0, elbo: float = -90.0, held_out: float | None = None
) -> EpochMetrics:
    return EpochMetrics(epoch, STEPS * epoch, elbo, elbo + kl, kl, elbo, 1.0, 1e-3, held_out, 1e4)


def given_warnings(
    history: Sequence[EpochMetrics],
    config: TrainConfig = CONFIG,
    part: str = "validation ELBO",
    noun: str = "image",
) -> list[tuple[int, str]]:
    """Return the epochs that warn, with their messages; training checks after each epoch."""
    found = []
    for epoch in range(1, len(history) + 1):
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            warn_of_symptoms(history[:epoch], config, part, noun)
        found += [(epoch, str(warning.message)) for warning in given]
    return found


def falling(*elbos: float, rise: float = 1.0, every: int = 1) -> list[EpochMetrics]:
    """Held-out ELBOs every so many epochs, while the training ELBO rises by `rise` an epoch."""
    epochs = range(1, every * len(elbos) + 1)
    held_out = {every * (i + 1): elbo for i, elbo in enumerate(elbos)}
    return [metrics(e, elbo=-90 + rise * e, held_out=held_out.get(e)) for e in epochs]


def test_collapse_is_reported_once_after_two_thousand_steps():
    collapsed = [metrics(epoch, kl=0.0123) for epoch in range(1, 31)]
    assert given_warnings(collapsed) == [
        (
            20,
            "posterior collapse: the KL of epoch 20 is 0.012 nats per image, so z carries almost "
            "no information about x. Give the KL a --warmup of some epochs, each latent some "
            "--free-bits, or take a smaller --hidden (--channels with --network conv).",
        )
    ]


def test_tables_have_rows():
    collapsed = [metrics(epoch, kl=0.0123) for epoch in range(1, 31)]
    overfitted = falling(-100, -101, -102, -103)
    messages = [m for h in (collapsed, overfitted) for _, m in given_warnings(h, noun="row")]
    assert ["nats per row" in m and "image" not in m for m in messages] == [True, True]


def test_the_steps_of_the_warmup_do_not_count():
    collapsed = [metrics(epoch, kl=0.0123) for epoch in range(1, 31)]
    ((epoch, said),) = given_warnings(collapsed, TrainConfig(epochs=100, warmup=4.5))
    assert epoch == 25
    assert "a --warmup longer than 4.5 epochs, each" in said


@pytest.mark.parametrize("kl", [0.1, 0.3, 20.0])
def test_a_kl_that_distinguishes_images_is_not_collapse(kl: float):
    assert given_warnings([metrics(epoch, kl=kl) for epoch in range(1, 31)]) == []


def test_a_late_collapse_is_reported_when_it_happens():
    history = [metrics(epoch, kl=10 / epoch) for epoch in range(1, 41)]
    history[24:] = [metrics(epoch, kl=0.05) for epoch in range(25, 41)]
    assert [epoch for epoch, _ in given_warnings(history)] == [25]


def test_overfitting_is_reported_once():
    history = falling(-100, -98, -99, -100, -101, -102, -103, every=2)
    assert given_warnings(history) == [
        (
            10,
            "overfitting: from epoch 4 to 10 the validation ELBO fell from -98.00 to -101.00 nats "
            "per image, while the training ELBO rose from -86.00 to -80.00. Use --patience 3, "
            "--epochs 4, a smaller --hidden (--channels with --network conv), or more images.",
        )
    ]


def test_the_held_out_part_is_named():
    assert (
        "the test ELBO fell"
        in given_warnings(falling(-98, -99, -100, -101), part="test ELBO")[0][1]
    )


@pytest.mark.parametrize(
    "history",
    [
        falling(-98, -99, -100),  # too few
        falling(-98, -99, -98.5, -99, -100),  # not in a row
        falling(-98, -98.1, -98.2, -98.3),  # as noise falls
        falling(-98, -99, -100, -101, rise=-1.0),  # training falls too, as where the rate is high
        falling(-101, -100, -99, -98),  # it rises
    ],
)
def test_a_smaller_or_shorter_fall_is_not_overfitting(history: list[EpochMetrics]):
    assert given_warnings(history) == []


def test_falls_before_the_end_of_the_warmup_do_not_count():
    history = falling(-98, -99, -100, -101, -102)
    config = TrainConfig(epochs=100, warmup=2)
    assert [epoch for epoch, _ in given_warnings(history, config)] == [5]


@pytest.fixture(scope="module")
def noise() -> Dataset:
    """Fair bits, of which there is nothing to learn but by heart."""
    x = (torch.rand(100, 1, 4, 4, generator=stream(0, "bits")) < 0.5).to(torch.uint8)
    identity = Identity("random", "0", "none", "standard", 60)
    return Dataset(identity, Part(x[:40], None), None, Part(x[40:], None))


def new_model(hidden: int) -> VAE:
    return VAE.from_config(ModelConfig(2, (hidden,)), (1, 4, 4), generator=stream(0, "weights"))


def test_a_run_that_memorises_its_images_warns_of_overfitting(noise: Dataset):
    config = TrainConfig(
        epochs=240, batch_size=40, learning_rate=0.02, evaluate_every=40, device="cpu"
    )
    with pytest.warns(UserWarning, match=r"overfitting: .* the test ELBO fell from -1") as found:
        train(new_model(30), noise, config)
    assert sum("overfitting" in str(warning.message) for warning in found) == 1


def test_a_run_whose_kl_weighs_too_much_warns_of_collapse(
    noise: Dataset, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(collapse_and_overfitting, "_WAKING_STEPS", 200)
    config = TrainConfig(
        epochs=25, batch_size=4, learning_rate=0.01, evaluate_every=1_000, device="cpu"
    )
    with pytest.warns(UserWarning, match=r"posterior collapse: the KL of epoch 20 ") as found:
        train(new_model(3), noise, config, objective=ObjectiveConfig(beta=20.0))
    assert len(found) == 1
