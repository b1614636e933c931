import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from elboroom.estimators import VAEImputer
from elboroom.imputation import Imputation, impute
from tests.support.gaussian_table import GaussianTable

SHORT = 0.01


@pytest.fixture(scope="module")
def fitted(gaussian: GaussianTable) -> VAEImputer:
    return VAEImputer(effort=0.1, random_state=0).fit(gaussian.x)


@pytest.fixture(scope="module")
def of_frame(frame: pd.DataFrame) -> VAEImputer:
    return VAEImputer(effort=SHORT, random_state=0).fit(frame)


def ratio(table: GaussianTable, filled: np.ndarray) -> float:
    """The error of filled entries, by that of the exact conditional mean."""
    return table.error(filled) / table.error(table.conditional_mean)


def test_a_gaussian_table_is_filled_as_well_as_by_its_exact_conditional_means(
    gaussian: GaussianTable, fitted: VAEImputer
):
    filled = fitted.transform(gaussian.x)
    assert ratio(gaussian, filled) < 1.08
    by_mean = np.where(gaussian.gaps, np.nanmean(gaussian.x, 0), gaussian.whole)
    assert ratio(gaussian, by_mean) > 1.3


def test_the_means_given_other_rows_are_found_to_be_worse(
    gaussian: GaussianTable, fitted: VAEImputer
):
    wrong = fitted.transform(np.where(gaussian.gaps, np.nan, np.roll(gaussian.whole, 1, 0)))
    assert ratio(gaussian, np.where(gaussian.gaps, wrong, gaussian.whole)) > 1.3


def test_seen_entries_keep_every_bit(gaussian: GaussianTable, fitted: VAEImputer):
    filled = fitted.transform(gaussian.x)
    assert_array_equal(filled[~gaussian.gaps], gaussian.whole[~gaussian.gaps])
    assert np.isfinite(filled).all()


def variance_ratio(draws: np.ndarray, spread: np.ndarray) -> float:
    return float((draws.var(0) / spread**2).mean())


def test_posterior_samples_vary_as_the_predictive_distribution(
    gaussian: GaussianTable, fitted: VAEImputer
):
    row = np.array([np.nan, gaussian.whole[0, 1], np.nan, np.nan, gaussian.whole[0, 4]])
    gaps = np.isnan(row)
    x = torch.tensor(row, dtype=torch.float32)[None]
    told = impute(fitted.ensemble_, x, ~x.isnan(), draws=4_000, seed=1).draws[:, 0, gaps]
    fitted.set_params(sample_posterior=True)
    draws = fitted.transform(np.tile(row, (400, 1)))[:, gaps]
    fitted.set_params(sample_posterior=False)
    # Var(s²) ≈ 2 σ⁴ / S; the three entries depend on each other
    error = math.sqrt(2 / 400 + 2 / 4_000)
    assert abs(variance_ratio(draws, told.std(0).numpy()) - 1) < 4 * error
    halves = (draws[::2] + draws[1::2]) / 2
    assert abs(variance_ratio(halves, told.std(0).numpy()) - 1) > 4 * error


def test_each_call_samples_anew_and_a_seed_repeats_all_calls(gaussian: GaussianTable):
    x = gaussian.x[:40]
    runs = [VAEImputer(sample_posterior=True, effort=SHORT, random_state=3) for _ in range(2)]
    (a, b), (c, d) = ([m.fit(x).transform(x), m.transform(x)] for m in runs)
    assert_array_equal(a, c)
    assert_array_equal(b, d)
    assert (a != b)[np.isnan(x)].all()


def test_global_random_states_stay_as_they_are(gaussian: GaussianTable):
    of_torch, of_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    VAEImputer(effort=SHORT, random_state=0).fit_transform(gaussian.x[:30])
    assert torch.equal(torch.get_rng_state(), of_torch)
    assert_array_equal(np.random.get_state()[1], of_numpy[1])  # noqa: NPY002


def test_without_a_seed_numpys_global_state_is_drawn_from(gaussian: GaussianTable):
    x, filled = gaussian.x[:30], []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002
        filled.append(VAEImputer(effort=SHORT).fit_transform(x))
    assert_array_equal(filled[0], filled[1])
    assert (filled[0] != filled[2]).any()


def test_a_method_of_inference_can_be_chosen(gaussian: GaussianTable, fitted: VAEImputer):
    fitted.set_params(method="laplace")
    some = gaussian.x[:20]
    apart = fitted.transform(some) - gaussian.conditional_mean[:20]
    fitted.set_params(method=None)
    assert np.abs(apart / np.sqrt(np.diag(gaussian.covariance))).max() < 0.6


def test_whole_numbers_of_an_array_are_filled_by_means_unless_they_are_told_to_be_counts():
    random = np.random.default_rng(0)
    x = np.stack([random.poisson(4.0, 40), random.normal(size=40)], 1)
    x[:5, 0] = np.nan
    real = VAEImputer(effort=SHORT, random_state=0).fit(x)
    count = VAEImputer(effort=SHORT, random_state=0, columns={0: "count"}).fit(x)
    assert real.columns_.schema.likelihoods == ("gaussian", "gaussian")
    assert count.columns_.schema.likelihoods == ("poisson", "gaussian")
    assert (real.transform(x)[:5, 0] % 1 != 0).all()
    assert (count.transform(x)[:5, 0] % 1 == 0).all()


def test_auto_finds_the_types_of_an_array():
    x = np.tile([[0.0, 1.5], [1.0, 2.5], [np.nan, 0.5], [1.0, 4.5]], (5, 1))
    filled = VAEImputer(effort=SHORT, columns="auto", random_state=0).fit_transform(x)
    assert set(filled[:, 0]) == {0.0, 1.0}


def test_a_number_can_mean_missing(gaussian: GaussianTable):
    x = gaussian.x[:30]
    coded = np.where(np.isnan(x), -999.0, x)
    by_nan = VAEImputer(effort=SHORT, random_state=0).fit_transform(x)
    by_code = VAEImputer(effort=SHORT, random_state=0, missing_values=-999).fit_transform(coded)
    assert_array_equal(by_nan, by_code)


def test_float32_stays_float32(gaussian: GaussianTable):
    x = gaussian.x[:30].astype(np.float32)
    assert VAEImputer(effort=SHORT).fit_transform(x).dtype == np.float32


def with_empty() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(20, 4))
    x[:, 1], x[:, 2] = np.nan, 7.0
    x[0, 0] = x[1, 2] = np.nan
    return x


def test_an_empty_column_is_dropped_with_a_warning_and_a_constant_one_has_its_constant():
    imputer = VAEImputer(effort=SHORT, add_indicator=True)
    with pytest.warns(UserWarning, match="columns without a value are dropped: 1;"):
        imputer.fit(with_empty())
    names = ["x0", "x2", "x3", *(f"missingindicator_x{place}" for place in (0, 1, 2))]
    assert imputer.get_feature_names_out().tolist() == names
    filled = imputer.transform(with_empty())
    assert filled.shape == (20, 6)
    assert (filled[:, 1] == 7).all()
    assert_array_equal(filled[:, 3:], np.isnan(with_empty()[:, :3]))


def test_an_empty_column_can_be_kept_as_zeros():
    imputer = VAEImputer(effort=SHORT, keep_empty_features=True).fit(with_empty())
    assert (imputer.transform(with_empty())[:, 1] == 0).all()
    assert imputer.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]


def test_a_frame_is_given_back_with_its_types_names_and_index(
    frame: pd.DataFrame, of_frame: VAEImputer
):
    of_frame.set_output(transform="pandas")
    filled = of_frame.transform(frame)
    of_frame.set_output(transform="default")
    assert list(filled.columns) == list(frame.columns)
    assert list(filled.index) == list(frame.index)
    assert not filled.isna().any(axis=None)
    assert (filled == frame).where(frame.notna(), True).all(axis=None)
    changed = {n for n in frame.columns if filled.dtypes[n] != frame.dtypes[n]}
    assert changed == {"age"}  # whole numbers that gaps had made floats
    assert filled["age"].dtype == np.int64
    assert set(filled["blood"]) == {"0", "A", "B"}
    assert set(filled["sex"]) == {"f", "m"}
    assert set(filled["clinic"]) == {"north"}


def test_the_array_of_a_frame_has_objects_unless_all_columns_are_numbers(
    frame: pd.DataFrame, of_frame: VAEImputer
):
    filled = of_frame.transform(frame)
    assert filled.dtype == object
    assert filled[0, 1] == frame["height"].iloc[0]
    numbers = frame[["age", "height", "visits"]]
    assert VAEImputer(effort=SHORT).fit_transform(numbers).dtype == np.float64


def test_a_frame_of_polars_is_filled_and_given_back(frame: pd.DataFrame, of_frame: VAEImputer):
    table = pl.from_pandas(frame)
    of_frame.set_output(transform="polars")
    filled = of_frame.transform(table)
    of_frame.set_output(transform="default")
    assert isinstance(filled, pl.DataFrame)
    assert filled.null_count().sum_horizontal().item() == 0
    assert filled["blood"].to_list() == of_frame.transform(frame)[:, 3].tolist()


def test_a_single_row_of_gaps_is_filled(frame: pd.DataFrame, of_frame: VAEImputer):
    row = frame.iloc[:1].mask(pd.Series(frame.columns != "number", frame.columns), axis=1)
    filled = of_frame.transform(row)
    assert filled[0, 2] in ("f", "m")
    assert filled[0, 6] == "north"
    assert not pd.isna(filled).any()


def test_a_gap_in_a_column_that_is_left_out_is_refused(frame: pd.DataFrame, of_frame: VAEImputer):
    gap = frame.assign(number=frame["number"].where(frame["number"] > 3))
    with pytest.raises(ValueError, match="column number has gaps that cannot be filled"):
        of_frame.transform(gap)


def test_a_value_that_is_not_finite_is_refused(
    gaussian: GaussianTable, fitted: VAEImputer, monkeypatch: pytest.MonkeyPatch
):
    def imputed(ensemble, x, seen, **_):
        nothing = torch.full_like(x, torch.nan)
        return Imputation(nothing, nothing, nothing, nothing[None])

    monkeypatch.setattr("elboroom.estimators.imputer.impute", imputed)
    with pytest.raises(ValueError, match="a missing entry cannot be filled"):
        fitted.transform(gaussian.x)


def test_a_column_that_is_told_to_be_left_out_keeps_its_gaps(frame: pd.DataFrame):
    imputer = VAEImputer(effort=SHORT, columns={"age": "ignore", -1: "ignore"})
    filled = imputer.set_output(transform="pandas").fit_transform(frame)
    assert_array_equal(filled["age"], frame["age"])


def test_an_unknown_level_is_a_value_error(frame: pd.DataFrame, of_frame: VAEImputer):
    other = frame.assign(sex="x")
    with pytest.raises(ValueError, match="column sex cannot be used"):
        of_frame.transform(other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effort": 0}, "effort"),
        ({"columns": {7: "real"}}, "X has no column 7"),
        ({"columns": {0: "complex"}}, "complex"),
    ],
)
def test_a_wrong_option_is_a_value_error(options: dict, words: str, gaussian: GaussianTable):
    with pytest.raises(ValueError, match=words):
        VAEImputer(**options).fit(gaussian.x)


def test_tables_without_anything_to_learn_are_value_errors():
    with pytest.raises(ValueError, match="no column of the table can be modelled"):
        VAEImputer().fit(np.ones((5, 2)))
    with pytest.raises(ValueError, match="1 sample"):
        VAEImputer().fit(pd.DataFrame({"a": [1.0], "b": ["x"]}))


@pytest.mark.parametrize("columns", [1, 2])
def test_two_rows_are_enough(columns: int):
    x = np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, 5.0]])[: 2 + (columns == 2), :columns]
    assert np.isfinite(VAEImputer(effort=SHORT).fit_transform(x)).all()


def test_it_is_a_step_of_a_pipeline(gaussian: GaussianTable):
    steps = make_pipeline(VAEImputer(effort=SHORT, random_state=0), StandardScaler())
    scaled = steps.fit_transform(gaussian.x[:50])
    assert scaled.shape == (50, 5)
    assert np.abs(scaled.mean(0)).max() < 1e-9
