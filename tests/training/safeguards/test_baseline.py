"""The warning after training: a held-out bound below that of independent marginals."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal

from elboroom.config import ModelConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.data.binarisation import Binarisation
from elboroom.model.likelihoods import Bernoulli, ObservationModel, observation_model
from elboroom.training.safeguards.baseline import baseline, warn_if_below_baseline
from elboroom.training.state import EpochMetrics
from tests.support.fit_cases import generator

CONFIG = TrainConfig(epochs=3)


def dataset(train: torch.Tensor, test: torch.Tensor) -> Dataset:
    missing = Binarisation(missing=bool(train.isnan().any() or test.isnan().any()))
    identity = Identity("x", "0", "none", "standard", len(test))
    return Dataset(identity, Part(train, None, missing), None, Part(test, None, missing))


def observed(likelihood: Any, *shape: int) -> ObservationModel:
    return observation_model(ModelConfig(likelihood=likelihood), shape)


def history(*held_out: float) -> list[EpochMetrics]:
    return [
        EpochMetrics(i, i, -90.0, -80.0, 10.0, -90.0, 1.0, 1e-3, elbo, 1e4)
        for i, elbo in enumerate(held_out, 1)
    ]


@pytest.mark.parametrize("missing", [False, True])
def test_of_real_values_it_is_that_of_independent_gaussians_in_their_units(missing: bool):
    g = generator()
    scale = torch.tensor([1e-9, 1.0, 1e7])
    x = (3 + torch.randn(80, 3, generator=g)) * scale
    if missing:
        x = x.masked_fill(torch.rand(80, 3, generator=g) < 0.3, torch.nan)
    train, test = x[:60], x[60:]
    found = baseline(observed("gaussian", 3), dataset(train, test))
    assert found is not None
    known = train.double().numpy()
    each = Normal(*(torch.tensor(f(known, 0)) for f in (np.nanmean, np.nanstd)))
    rows = each.log_prob(test.double().nan_to_num()).masked_fill(test.isnan(), 0).sum(-1)
    assert found.log_prob == pytest.approx(rows.mean().item(), rel=1e-6)
    assert found.standard_error == pytest.approx((rows.std() / 20**0.5).item(), rel=1e-6)
    assert found.name == "independent Gaussians"


def test_of_binary_values_it_is_that_of_their_frequencies_away_from_zero_and_one():
    x = (torch.rand(50, 1, 3, 3, generator=generator()) < 0.3).float()
    x[:, 0, 0, 0] = 0
    found = baseline(observed("bernoulli", 1, 3, 3), dataset(x[:40], x[40:]))
    assert found is not None
    p = TorchBernoulli(probs=(x[:40].double().sum(0) + 0.5) / 41)
    expected = p.log_prob(x[40:].double()).flatten(1).sum(1).mean().item()
    assert found.log_prob == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("likelihood", ["discretized-logistic", "continuous-bernoulli"])
def test_of_grey_levels_it_is_above_the_density_that_knows_nothing(likelihood: str):
    g = generator()
    x = (255 * (0.3 + 0.05 * torch.randn(60, 1, 4, 4, generator=g)).clamp(0, 1)).round() / 255
    found = baseline(observed(likelihood, 1, 4, 4), dataset(x[:40], x[40:]))
    assert found is not None
    uniform = -16 * np.log(256) if likelihood == "discretized-logistic" else 0.0
    assert found.log_prob > uniform + 1


def test_a_constant_and_a_wholly_missing_column_have_a_finite_density():
    x = torch.randn(30, 3, generator=generator())
    x[:, 1], x[:, 2] = 7.0, torch.nan
    found = baseline(observed("gaussian", 3), dataset(x[:20], x[20:]))
    assert found is not None
    assert np.isfinite(found.log_prob)


def test_one_held_out_row_is_enough_and_functions_have_none():
    x = torch.randn(30, 3, generator=generator())
    found = baseline(observed("gaussian", 3), dataset(x[:29], x[29:]))
    assert found is not None
    assert found.standard_error == 0
    function = ObservationModel(lambda logits: Bernoulli(logits))
    assert baseline(function, dataset(x, x)) is None


@pytest.mark.parametrize(
    ("held_out", "advice"),
    [((-900.0, -200.0, -20.0), "train with more --epochs"), ((-15.0, -20.0), "use --best")],
)
def test_a_bound_below_it_warns_with_the_numbers_and_what_to_change(
    held_out: tuple[float, ...], advice: str
):
    x = torch.randn(80, 3, generator=generator())
    data = dataset(x[:60], x[60:])
    expected = r"the test ELBO, -20\.00 nats per row, .*independent Gaussians, -[345]\.\d\d: .*"
    with pytest.warns(UserWarning, match=expected + advice):
        warn_if_below_baseline(observed("gaussian", 3), data, history(*held_out), CONFIG)


def test_a_bound_above_it_or_within_its_error_does_not_warn():
    x = torch.randn(80, 3, generator=generator())
    data, model = dataset(x[:60], x[60:]), observed("gaussian", 3)
    found = baseline(model, data)
    assert found is not None
    near = found.log_prob - found.standard_error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_below_baseline(model, data, history(-20.0, near), CONFIG)
        warn_if_below_baseline(model, data, [], CONFIG)
        kept = replace(CONFIG, keep_best=True)
        warn_if_below_baseline(model, data, history(near, -20.0), kept)


@pytest.mark.parametrize("likelihood", ["gaussian", "discretized-logistic", "bernoulli"])
def test_rows_that_are_all_the_same_have_none_with_a_scale(likelihood: str):
    row = torch.tensor([[0.0, 1.0, 1.0]])
    for train in (row, row.repeat(4, 1)):
        found = baseline(observed(likelihood, 3), dataset(train, row))
        assert (found is None) == (likelihood != "bernoulli")
