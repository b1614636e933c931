"""The score of withheld entries that training is watched by."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from elboroom.config import DataConfig, ModelConfig, TrainConfig
from elboroom.data import Dataset
from elboroom.errors import UsageError
from elboroom.evaluation.likelihood import evaluate
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.held_out import held_out_elbo
from elboroom.training.loop import train
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

QUICK = TrainConfig(
    epochs=12,
    batch_size=100,
    learning_rate=1e-2,
    hide=0.5,
    evaluate_every=1,
    device="cpu",
    precision="fp32",
    threads=1,
)


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    noise = np.random.default_rng(0)
    x = noise.normal(size=(400, 2)) @ noise.normal(size=(2, 6)) + 0.3 * noise.normal(size=(400, 6))
    x[noise.random(x.shape) < 0.1] = np.nan
    return x.astype("f4")


def new_model(seed: int = 0) -> VAE:
    return VAE.from_config(
        ModelConfig(latents=2, hidden=(16,), likelihood="gaussian"),
        (6,),
        generator=stream(seed, "weights"),
    )


def test_log_predictive_is_that_of_the_linear_model():
    """log p(x_withheld | x_seen) = log p(both) − log p(seen), in closed form: 5 standard errors."""
    linear = LinearGaussian(pixels=5, latents=2, seed=0)
    x = linear.data(30, seed=1)
    mask = random_masks(30, 5, seed=2)
    withheld = ~mask & random_masks(30, 5, seed=3)
    expected = linear.log_evidence(x, mask | withheld) - linear.log_evidence(x, mask)

    def check(scored: torch.Tensor) -> None:
        found = [
            linear.model.log_predictive(x, mask, scored, 5_000, generator=stream(seed, "z"))
            for seed in range(12)
        ]
        error = torch.stack(found).detach() - expected
        assert_mean(error.exp()[:, withheld.any(1)], 1.0, errors=5)

    check(withheld)
    assert_rejected(lambda: check(withheld | mask))
    assert (
        linear.model.log_predictive(x, mask, mask & False, 9, generator=stream(0, "z")) == 0
    ).all()


def test_training_by_withheld_entries_learns_to_predict_them(table: np.ndarray):
    """The score rises above that of independent Gaussians, whatever the seed of the weights."""
    data, model = Dataset.from_arrays(table, config=DataConfig(withhold=0.2)), new_model()
    history = train(model, data, QUICK).history
    withheld, std = data.validation.withheld.numpy(), np.nanstd(table, 0)
    y = (table - np.nanmean(table, 0)) / std
    marginal = -0.5 * (y**2 + np.log(2 * np.pi)) - np.log(std)
    marginals = np.where(withheld, marginal, 0).sum() / len(table)
    assert history[-1].held_out_elbo > marginals + 0.1


def test_the_score_is_the_mean_over_rows_of_log_predictive(table: np.ndarray):
    data, model = Dataset.from_arrays(table, config=DataConfig(withhold=0.2)), new_model()
    train(model, data, replace(QUICK, epochs=1))
    part = data.validation
    found = held_out_elbo(model, part, QUICK, epoch=3)
    again = torch.stack(
        [
            model.log_predictive(
                part.x,
                ~part.x.isnan() & ~part.withheld,
                part.withheld,
                2_000,
                generator=stream(seed, "z"),
            )
            for seed in range(3)
        ]
    )
    assert found == pytest.approx(again.mean().item(), abs=0.02)


def test_values_of_withheld_entries_do_not_reach_training(table: np.ndarray):
    """Other values there give the same weights, bit for bit."""
    config, weights = DataConfig(withhold=0.2), []
    for change in (0.0, 3.0):
        data, model = Dataset.from_arrays(table, config=config), new_model()
        held = data.validation.withheld | data.test.withheld
        changed = np.where(held.numpy(), table + change, table)
        data = Dataset.from_arrays(changed, config=config)
        train(model, data, replace(QUICK, epochs=2))
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)


def test_rows_that_were_trained_on_are_not_evaluated_as_held_out(table: np.ndarray):
    data, model = Dataset.from_arrays(table, config=DataConfig(withhold=0.2)), new_model()
    with pytest.raises(UsageError, match="no held-out rows"):
        evaluate(model.eval(), data, k=2, seed=0)
