"""Imputation: means, spreads, probabilities and draws of what is not seen."""

import math

import numpy as np
import pytest
import torch

from elboroom.errors import UsageError
from elboroom.imputation.ensemble import Ensemble
from elboroom.imputation.imputation import impute
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from tests.imputation import tables
from tests.support.oracles import assert_rejected

ROWS = 60


@pytest.fixture(scope="module")
def gaussian() -> tables.Gaussian:
    return tables.Gaussian()


@pytest.fixture(scope="module")
def mixed() -> tuple[torch.Tensor, VAE]:
    data, columns = tables.mixed()
    return data.part("all").x, tables.model_of_mixed(data, columns)


def test_it_is_the_conditional_of_a_gaussian(gaussian: tables.Gaussian):
    """Means within 5 standard errors of 256 draws of z, spreads within 5 of 256 draws of x."""
    x = tables.with_gaps(gaussian.rows(ROWS))
    mean, std = gaussian.conditional(x)
    gaps = np.isnan(x)
    found = impute(
        tables.ensemble(gaussian.model()),
        tables.tensor(x),
        ~torch.from_numpy(gaps),
        draws=400,
        seed=0,
    )

    def check(factor: float) -> None:
        error = (found.mean.numpy() - mean)[gaps] / std[gaps]
        assert np.abs(error).max() < 5 / math.sqrt(400)
        ratio = found.spread.numpy()[gaps] / (factor * std[gaps])
        assert np.abs(ratio - 1).max() < 5 / math.sqrt(2 * 400)
        drawn = found.draws.numpy()[:, gaps]
        assert np.abs((drawn.mean(0) - mean[gaps]) / std[gaps]).max() < 5 / math.sqrt(400)

    check(1.0)
    assert_rejected(lambda: check(1.4))


def test_seen_entries_stay_bit_for_bit(gaussian: tables.Gaussian):
    x = tables.tensor(tables.with_gaps(gaussian.rows(ROWS)))
    seen = ~x.isnan()
    found = impute(tables.ensemble(gaussian.model()), x, seen, draws=3, seed=0)
    assert torch.equal(found.mean[seen], x[seen])
    assert torch.equal(found.draws[:, seen], x[seen].expand(3, -1))
    assert found.spread[seen].isnan().all()
    assert found.probability.isnan().all()


def test_the_same_seed_gives_the_same_draws(gaussian: tables.Gaussian):
    x = tables.tensor(tables.with_gaps(gaussian.rows(ROWS)))
    models = tables.ensemble(gaussian.model())
    first, again, other = (impute(models, x, ~x.isnan(), draws=2, seed=s).draws for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_levels_are_filled_in_by_their_probabilities(mixed: tuple[torch.Tensor, VAE]):
    """The share of draws at the filled level is its probability: within 5 standard errors."""
    x, model = mixed
    found = impute(tables.ensemble(model), x, ~x.isnan(), draws=400, seed=0)
    for column, levels in ((2, 2), (3, 3), (4, 4)):
        gaps = x[:, column].isnan()
        p, filled = found.probability[gaps, column], found.mean[gaps, column]
        assert ((filled >= 0) & (filled < levels) & (filled == filled.round())).all()
        share = (found.draws[:, gaps, column] == filled).double().mean(0)
        error = (p * (1 - p) / 400).sqrt() + 0.02  # and that of p, of 256 draws of z
        assert ((share - p).abs() < 5 * error).all()
        assert found.spread[gaps, column].isnan().all()


def test_an_ordered_level_is_the_median_and_another_the_mode():
    from elboroom.imputation.imputation import _chosen

    levels = torch.tensor([[0.4, 0.2, 0.3, 0.1], [0.0, 0.0, 0.45, 0.55]])
    assert _chosen(levels, is_ordered=True)[1].tolist() == [1.0, 3.0]
    assert _chosen(levels, is_ordered=False)[1].tolist() == [0.0, 3.0]
    assert _chosen(levels, is_ordered=True)[0].tolist() == pytest.approx([0.2, 0.55])


def test_a_mixture_of_models_has_the_mean_and_the_spread_of_a_mixture(gaussian: tables.Gaussian):
    """Two models whose columns are 4 noise deviations apart spread by that much more."""
    other = gaussian.model()
    with torch.no_grad():
        other.likelihood.location += torch.from_numpy(4 * gaussian.scale).float()
    x = torch.full((40, tables.COLUMNS), math.nan)
    models = tables.ensemble(gaussian.model(), other)
    found = impute(models, x, ~x.isnan(), draws=1, seed=0)
    variance = np.diag(gaussian.covariance) + (2 * gaussian.scale) ** 2
    ratio = found.spread.numpy() / np.sqrt(variance)
    assert np.abs(ratio.mean(0) - 1).max() < 5 / math.sqrt(2 * 256 * 40) * 2
    centre = (found.mean.numpy() - gaussian.mean) / gaussian.scale
    assert np.abs(centre.mean(0) - 2).max() < 0.2


def test_draws_are_divided_in_proportion_to_the_weights(gaussian: tables.Gaussian):
    model = gaussian.model()
    models = Ensemble((model, model, model), torch.tensor([0.5, 0.333, 0.167]))
    assert models.numbers_of_draws(10) == [5, 3, 2]
    assert sum(models.numbers_of_draws(257)) == 257


@pytest.mark.parametrize("method", ["encoder", "laplace", "sir"])
def test_methods_of_inference_agree_where_the_posterior_is_gaussian(
    gaussian: tables.Gaussian, method
):
    x = tables.tensor(tables.with_gaps(gaussian.rows(20)))
    models = tables.ensemble(gaussian.model())
    found = impute(models, x, ~x.isnan(), draws=1, seed=0, method=method)
    mean, std = gaussian.conditional(x.double().numpy())
    gaps = x.isnan().numpy()
    assert np.abs((found.mean.numpy() - mean)[gaps] / std[gaps]).max() < 0.4


def test_models_of_other_data_are_refused():
    from elboroom.config import ModelConfig

    model = VAE.from_config(ModelConfig(likelihood="gaussian"), (4,), generator=stream(0, "w"))
    with pytest.raises(UsageError, match="not of the columns of one table"):
        tables.ensemble(model)
