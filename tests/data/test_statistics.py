"""Means and standard deviations of the data, in any unit and with missing values."""

import numpy as np
import pytest
import torch

from elboroom.data import Part
from elboroom.data.binarisation import Binarisation
from elboroom.data.statistics import Statistics, statistics_of
from elboroom.errors import DataError

RNG = np.random.default_rng(0)


def measured(values: np.ndarray) -> Statistics:
    return statistics_of(Part(torch.tensor(values), None, Binarisation(missing=True)))


def torn(values: np.ndarray) -> np.ndarray:
    return np.where(RNG.random(values.shape) < 0.3, np.nan, values)


@pytest.mark.parametrize("unit", [1e-17, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_they_are_those_of_numpy_in_any_unit(unit: float, offset: float):
    x = torn((offset + RNG.standard_t(2, size=(500, 3, 2))) * unit).astype(np.float32)
    found = measured(x)
    np.testing.assert_allclose(found.mean, np.nanmean(x.astype(float), 0), rtol=1e-12)
    np.testing.assert_allclose(found.std, np.nanstd(x.astype(float), 0), rtol=1e-9)
    assert (found.count.numpy() == (~np.isnan(x)).sum(0)).all()


@pytest.mark.parametrize(
    ("shape", "axes"), [((), (0, 1, 2, 3)), ((2, 1, 1), (0, 2, 3)), ((2, 3, 4), (0,))]
)
def test_pooled_values_are_those_of_all_their_places(shape: tuple[int, ...], axes: tuple):
    x = torn(RNG.normal(RNG.normal(size=(2, 3, 4)), 0.3, size=(50, 2, 3, 4))).astype(np.float32)
    x[1:, 1, 1] = np.nan  # places with very different counts
    x[0, 1, 1] = 3.0
    found, x = measured(x).pooled(shape), x.astype(float)
    np.testing.assert_allclose(found.mean.numpy().squeeze(), np.nanmean(x, axes))
    np.testing.assert_allclose(found.std.numpy().squeeze(), np.nanstd(x, axes), atol=1e-12)


@pytest.mark.parametrize("constant", [0.1, 1e4 + 0.1, 3e-20, 0.0])
def test_a_constant_has_a_deviation_of_exactly_zero_and_the_typical_scale(constant: float):
    x = RNG.normal(size=(1_000, 3)).astype(np.float32) * [1.0, 100.0, 0.0] + [0, 0, constant]
    found = measured(x.astype(np.float32))
    assert found.std[2] == 0
    assert found.scale[2] == pytest.approx((found.std[0] * found.std[1]).sqrt().item())
    assert found.location[2] == pytest.approx(np.float32(constant), rel=1e-12)


def test_a_value_that_is_missing_everywhere_has_the_location_zero_and_the_typical_scale():
    x = RNG.normal(5, 2, size=(100, 3)).astype(np.float32)
    x[:, 1] = np.nan
    found = measured(x)
    assert found.location[1] == 0
    assert found.scale[1] == pytest.approx((found.std[0] * found.std[2]).sqrt().item())
    assert found.scale.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.3, np.nan])
def test_data_without_a_scale_are_refused(value: float):
    with pytest.raises(DataError, match="the data have no scale"):
        _ = measured(np.full((10, 3), value, np.float32)).scale


def test_one_row_is_too_few_for_a_scale():
    with pytest.raises(DataError, match="too few rows to train on"):
        _ = measured(np.array([[1.0, 2.0]], np.float32)).scale


def test_what_is_measured_may_be_any_function_of_the_rows():
    x = torn(RNG.normal(3, 0.2, size=(3_000, 2))).astype(np.float32)
    part = Part(torch.tensor(x), None, Binarisation(missing=True))
    found = statistics_of(part, lambda rows: torch.cat([rows.log(), rows[:, :1] > 3], -1))
    assert found.mean.shape == (3,)
    np.testing.assert_allclose(found.mean[:2], np.nanmean(np.log(x.astype(float)), 0), rtol=1e-6)
    np.testing.assert_allclose(found.std[:2], np.nanstd(np.log(x.astype(float)), 0), rtol=1e-5)
    logs, share = found.parts([2, 1])
    assert share.mean.item() == pytest.approx((x[:, 0] > 3).mean())
    assert torch.equal(logs.std, found.std[:2])
