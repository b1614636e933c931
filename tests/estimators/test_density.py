import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import elboroom.estimators as estimators
from elboroom.errors import UsageError
from elboroom.estimators import VAEDensity
from elboroom.estimators.density import _log_evidence, _shared_draws
from elboroom.model.posteriors import Gaussian, GaussianMixture
from elboroom.model.vae import VAE
from tests.support.gaussian_table import GaussianTable

SHORT = 0.01


@pytest.fixture(scope="module")
def fitted(gaussian: GaussianTable) -> VAEDensity:
    return VAEDensity(effort=0.1, random_state=0).fit(gaussian.x)


@pytest.fixture(scope="module")
def of_frame(frame: pd.DataFrame) -> VAEDensity:
    return VAEDensity(effort=SHORT, random_state=0).fit(frame)


@pytest.fixture(scope="module")
def new() -> GaussianTable:
    return GaussianTable.of(rows=300, missing=0.2, seed=1)


def test_scores_are_the_log_density_of_seen_entries_of_new_rows(
    new: GaussianTable, fitted: VAEDensity
):
    apart = fitted.score_samples(new.x) - new.log_prob
    # KL(p ‖ p̂) ≈ 20 parameters / 2 · 500 rows = 0.02 nats by maximum likelihood
    assert -0.02 < -apart.mean() < 0.12
    assert apart.std() < 0.5


def test_scores_of_other_rows_or_in_other_units_are_found_to_be_wrong(
    new: GaussianTable, fitted: VAEDensity
):
    scores = fitted.score_samples(new.x)
    assert (np.roll(scores, 1) - new.log_prob).std() > 0.5
    standardised = scores + np.log(10)
    assert -(standardised - new.log_prob).mean() < -0.02


def test_the_score_is_the_sum(new: GaussianTable, fitted: VAEDensity):
    assert fitted.score(new.x) == fitted.score_samples(new.x).sum()


def test_a_row_without_an_entry_has_the_score_0(fitted: VAEDensity):
    assert_allclose(fitted.score_samples(np.full((2, 5), np.nan)), 0, atol=0.02)


def test_linear_models_of_gaussian_columns_are_scored_exactly(
    new: GaussianTable, fitted: VAEDensity
):
    x = torch.tensor(new.x)
    by_seed = [
        [_log_evidence(model, x, ~x.isnan(), seed) for model in fitted.ensemble_.models]
        for seed in (0, 1)
    ]
    linear, mixture, network = ((a - b).abs() for a, b in zip(*by_seed, strict=True))
    assert linear.max() < 1e-6
    assert mixture.max() < 1e-6
    assert 1e-3 < network.median() < 0.1  # by importance sampling


def test_a_row_has_the_same_score_among_any_others(frame: pd.DataFrame, of_frame: VAEDensity):
    together = of_frame.score_samples(frame.iloc[:20])
    apart = [of_frame.score_samples(frame.iloc[i : i + 1])[0] for i in range(20)]
    assert_allclose(together, apart, rtol=0, atol=0.01)
    assert_allclose(of_frame.score_samples(frame.iloc[19::-1]), together[::-1], rtol=1e-9)


def test_shared_draws_are_of_each_rows_mixture():
    log_mass = torch.tensor([[0.3, 0.9], [0.7, 0.1]], dtype=torch.float64).log()
    means = torch.tensor([[[0.0], [5.0]], [[2.0], [-1.0]]], dtype=torch.float64)
    scales = torch.full((2, 2, 1, 1), 0.1, dtype=torch.float64)
    q = GaussianMixture(log_mass, Gaussian(means, scales))
    z = _shared_draws(q, torch.Generator().manual_seed(0))
    assert z.shape == (500, 2, 1)
    error = (q.covariance[:, 0] / 500).sqrt()
    assert ((z.mean(0) - q.mean).abs() < 4 * error).all()
    other = GaussianMixture(log_mass.flip(0), q.components)
    assert ((z.mean(0) - other.mean).abs() > 4 * error).all()


def test_samples_have_the_mean_and_the_covariance_of_the_data(
    gaussian: GaussianTable, fitted: VAEDensity
):
    drawn = fitted.sample(4_000, random_state=0)
    scale = np.sqrt(np.diag(gaussian.covariance))
    # The fit is of about 400 seen entries a column.
    assert (np.abs(drawn.mean(0) - gaussian.mean) / scale).max() < 5 / np.sqrt(400)
    apart = (np.cov(drawn.T) - gaussian.covariance) / np.outer(scale, scale)
    assert np.abs(apart).max() < 0.35
    assert np.abs(np.diag(np.diag(gaussian.covariance)) - gaussian.covariance).max() > 0.35
    assert_array_equal(drawn, fitted.sample(4_000, random_state=0))


def test_samples_of_a_frame_have_its_types(frame: pd.DataFrame, of_frame: VAEDensity):
    drawn = of_frame.sample(30, random_state=0)
    assert list(drawn.columns) == list(frame.columns)
    assert set(drawn["blood"]) <= {"0", "A", "B"}
    assert set(drawn["sex"]) <= {"f", "m"}
    assert (drawn["clinic"] == "north").all()
    assert drawn["number"].isna().all()
    kept = ["height", "blood", "day", "visits", "sex"]
    assert (drawn.dtypes[kept] == frame.dtypes[kept]).all()


def test_a_copy_from_pickle_scores_alike(frame: pd.DataFrame, of_frame: VAEDensity):
    copy = pickle.loads(pickle.dumps(of_frame))
    assert_array_equal(copy.score_samples(frame), of_frame.score_samples(frame))


def test_a_clone_is_not_fitted_and_has_the_options(of_frame: VAEDensity):
    copy = clone(of_frame)
    assert copy.get_params() == of_frame.get_params()
    assert not hasattr(copy, "ensemble_")


@pytest.mark.full
def test_a_grid_search_finds_the_effort_that_gives_the_best_score(gaussian: GaussianTable):
    search = GridSearchCV(VAEDensity(random_state=0), {"effort": [1e-4, 0.1]}, cv=2)
    search.fit(gaussian.x[:100])
    assert search.best_params_ == {"effort": 0.1}
    assert search.best_estimator_.effort == 0.1


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    def fails(name: str) -> None:
        raise ModuleNotFoundError(name, name="sklearn.base")

    monkeypatch.setattr(estimators, "import_module", fails)
    with pytest.raises(UsageError, match=r"pip install 'elboroom\[sklearn\]'"):
        _ = estimators.VAEDensity


def test_samples_are_of_the_models_by_their_weights(
    fitted: VAEDensity, monkeypatch: pytest.MonkeyPatch
):
    generate, counts = VAE.generate, list[int]()

    def counted(model: VAE, count: int, *, generator: torch.Generator):
        counts.append(count)
        return generate(model, count, generator=generator)

    monkeypatch.setattr(VAE, "generate", counted)
    fitted.sample(10_000, random_state=0)
    weights = fitted.ensemble_.weights.numpy()
    error = np.sqrt(10_000 * weights * (1 - weights))
    assert (np.abs(counts - 10_000 * weights) < 4 * error).all()
    assert (np.abs(counts - 10_000 * weights[::-1]) > 4 * error).any()


def test_samples_have_the_types_of_columns_that_cannot_have_gaps():
    random = np.random.default_rng(0)
    whole = pd.DataFrame({"n": random.poisson(3, 30), "yes": random.random(30) < 0.5})
    whole = whole.astype({"n": np.int16})
    drawn = VAEDensity(effort=SHORT, random_state=0).fit(whole).sample(5)
    assert drawn.dtypes.tolist() == whole.dtypes.tolist()
