from copy import copy

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from elboroom.estimators import VAETransformer
from elboroom.imputation import Ensemble
from elboroom.model.posteriors import Gaussian
from tests.support.gaussian_table import GaussianTable

SHORT = 0.01


@pytest.fixture(scope="module")
def fitted(gaussian: GaussianTable) -> VAETransformer:
    return VAETransformer(effort=0.03, random_state=0).fit(gaussian.x)


def test_the_latents_are_those_of_the_model_with_the_largest_weight(fitted: VAETransformer):
    weights = fitted.ensemble_.weights
    place = int(weights.argmax())
    assert fitted.model_ is fitted.ensemble_.models[place]
    assert len(fitted.get_feature_names_out()) == fitted.model_.latents
    other = VAETransformer()
    other.ensemble_ = Ensemble(fitted.ensemble_.models, weights.roll(1))
    assert other.model_ is not fitted.model_


def test_the_means_of_a_linear_model_are_exact(gaussian: GaussianTable, fitted: VAETransformer):
    """E[z | x_seen] = Σ_k w_k z_k by importance sampling, within four standard errors."""
    linear = next(m for m in fitted.ensemble_.models if m.prior.components()[0].numel() == 1)
    alone = copy(fitted)
    alone.ensemble_ = Ensemble((linear,), torch.ones(1, dtype=torch.float64))
    row = gaussian.x[:1]
    found = alone.transform(row)[0]
    x = torch.tensor(row)
    q = linear.posterior(x, ~x.isnan())
    assert isinstance(q, Gaussian)
    z = q.widened(1.5).sample(20_000, torch.Generator().manual_seed(0))
    log_w = linear.log_joint(x, z, ~x.isnan()) - q.widened(1.5).log_prob(z)
    w = log_w.softmax(0)
    mean = (w[..., None] * z).sum(0)[0]
    error = ((w[..., None] * (z - mean)).square().sum(0)).sqrt()[0]
    assert (np.abs(found - mean.detach().numpy()) < 4 * error.detach().numpy()).all()
    unseen = alone.transform(np.full((1, 5), np.nan))[0]
    assert (np.abs(unseen - mean.detach().numpy()) > 4 * error.detach().numpy()).any()


def test_a_row_has_the_same_latents_among_any_others(
    gaussian: GaussianTable, fitted: VAETransformer
):
    together = fitted.transform(gaussian.x[:30])
    apart = np.concatenate([fitted.transform(gaussian.x[i : i + 1]) for i in range(30)])
    assert_allclose(together, apart, rtol=1e-9, atol=1e-12)
    assert np.isfinite(together).all()


@pytest.mark.full
def test_latents_tell_what_the_columns_do(gaussian: GaussianTable):
    steps = make_pipeline(VAETransformer(effort=0.03, random_state=0), LinearRegression())
    target = gaussian.whole[:, 1]
    assert steps.fit(gaussian.x, target).score(gaussian.x, target) > 0.6
    assert steps.score(gaussian.x, np.roll(target, 1)) < 0.1


def test_a_frame_becomes_a_frame_of_latents(frame: pd.DataFrame):
    found = VAETransformer(effort=SHORT).set_output(transform="pandas").fit_transform(frame)
    assert list(found.columns[:2]) == ["vaetransformer0", "vaetransformer1"]
    assert_array_equal(found.index, frame.index)
