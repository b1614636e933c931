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
from elboroom.training import held_out
from elboroom.training.held_out import held_out_elbo, withheld_scores
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
    """It is log p(x_i, x_seen) − log p(x_seen) in closed form, to 5 standard errors."""
    linear = LinearGaussian(pixels=5, latents=2, seed=0)
    x = linear.data(30, seed=1)
    mask = random_masks(30, 5, seed=2)
    withheld = ~mask & random_masks(30, 5, seed=3)
    one = torch.eye(5, dtype=torch.bool)
    both = torch.stack([linear.log_evidence(x, mask | (withheld & column)) for column in one], 1)
    expected = both - linear.log_evidence(x, mask)[:, None]

    def check(seen: torch.Tensor) -> None:
        found = [
            linear.model.log_predictive(x, seen, withheld, 5_000, generator=stream(seed, "z"))
            for seed in range(12)
        ]
        error = torch.stack(found).detach() - expected
        assert_mean(error.exp()[:, withheld], 1.0, errors=5)

    check(mask)
    assert_rejected(lambda: check(mask & (torch.arange(5) != 2)))
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


def test_the_score_is_the_mean_over_rows_of_the_scores_of_entries(table: np.ndarray):
    data, model = Dataset.from_arrays(table, config=DataConfig(withhold=0.2)), new_model()
    train(model, data, replace(QUICK, epochs=1))
    part = data.validation
    found = held_out_elbo(model, part, QUICK, epoch=3)
    again = withheld_scores(model, part.x, part.withheld, 5_000, stream(1, "z"))
    assert found == pytest.approx(again.sum().item() / len(part), abs=0.02)
    assert found == held_out_elbo(model, part, QUICK, epoch=9)  # the draws are the same


def test_a_long_part_is_scored_by_rows_from_everywhere(monkeypatch: pytest.MonkeyPatch):
    """The mean over 2,000 rows of a sorted table is that over all, to 5 standard errors."""
    x = torch.cat([torch.zeros(6_000, 6), torch.full((3_000, 6), 6.0)])
    data, model = Dataset.from_arrays(x.numpy() + 0.1, config=DataConfig(withhold=0.2)), new_model()
    part = replace(data.validation, images=x)
    rows = withheld_scores(model, x, part.withheld, 100, stream(1, "z")).sum(1)

    def check() -> None:
        found = held_out_elbo(model, part, QUICK, epoch=1)
        assert abs(found - rows.mean()) < 5 * rows.std() / 2_000**0.5

    check()
    monkeypatch.setattr(held_out, "_watched", lambda part, config: torch.arange(2_000))
    assert_rejected(check)


def test_an_entry_far_from_all_others_costs_no_square():
    """At 30 standard deviations log p is −450 nats, and its score that of the wide density."""
    model = new_model().eval()
    x = torch.zeros(3, 6)
    x[1, 2], x[2, 2] = 30.0, 60.0
    withheld = torch.arange(6) == 2
    scores = withheld_scores(model, x, withheld.expand(3, -1), 1_000, stream(0, "z"))
    expected = np.log(0.05) + torch.distributions.Normal(0.0, 3.0).log_prob(x[1:, 2])
    assert scores[1:, 2].tolist() == pytest.approx(expected.tolist(), abs=0.1)
    assert (scores[:, [0, 1, 3, 4, 5]] == 0).all()


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
