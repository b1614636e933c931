"""Training in any unit: affine changes of the data change nothing but the log of their volume."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom import (
    PRESETS,
    VAE,
    Config,
    DataConfig,
    Dataset,
    ModelConfig,
    ObjectiveConfig,
    Run,
    TrainConfig,
    evaluate,
    infer,
    load_data,
    resolve,
    train,
)
from elboroom.config import Precision
from elboroom.training import resolve as resolving
from elboroom.training.initial_model import new_model
from elboroom.training.safeguards.baseline import baseline
from tests.support.command import Command
from tests.support.fit_cases import generator

COLUMNS = 6
MODEL = ModelConfig(2, (8,), likelihood="gaussian", data_bias=True)
TRAIN = TrainConfig(
    epochs=8,
    batch_size=20,
    learning_rate=1e-2,
    threads=1,
    device="cpu",
    precision="fp32",
    compile="off",
)


def table(rows: int = 120) -> np.ndarray:
    """A table of two factors with unit variances, as float32 numbers."""
    g = np.random.default_rng(1)
    z = g.normal(size=(rows, 2)) @ g.normal(size=(2, COLUMNS)) / 2**0.5
    return (z + 0.3 * g.normal(size=z.shape)).astype(np.float32)


def dataset(x: np.ndarray, folder: Path, *, missing: bool = False) -> Dataset:
    if missing:
        x = np.where(np.random.default_rng(2).random(x.shape) < 0.2, np.nan, x)
    np.save(folder / "x.npy", x.astype(np.float32))
    return load_data(DataConfig(source=str(folder / "x.npy")))


def trained(
    data: Dataset,
    model: ModelConfig = MODEL,
    config: TrainConfig = TRAIN,
    objective: ObjectiveConfig = ObjectiveConfig(),  # noqa: B008  # frozen
) -> tuple[VAE, list[float]]:
    """Train a new model, and return it with the ELBO of each epoch and of the test part."""
    fresh = new_model(Config(model=model, train=config), data)
    history = train(fresh, data, config, objective=objective).history
    assert history[-1].held_out_elbo is not None
    return fresh, [m.elbo for m in history] + [history[-1].held_out_elbo]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("power", [-57, -3, 30])  # 7e-18 … 1e9
def test_another_power_of_two_as_unit_changes_no_bit(
    power: int, precision: Precision, tmp_path: Path
):
    config, x = replace(TRAIN, precision=precision), table()
    (one, before), (other, after) = (
        trained(dataset(values, tmp_path), config=config) for values in (x, x * 2.0**power)
    )
    for name, weight in one.state_dict().items():
        if "units" not in name:
            assert torch.equal(other.state_dict()[name], weight), name
    volume = COLUMNS * power * np.log(2)
    np.testing.assert_allclose(np.array(before) - after, volume, rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("missing", [False, True])
def test_columns_in_other_units_with_far_offsets_change_the_elbo_by_their_volume(
    precision: Precision, missing: bool, tmp_path: Path
):
    """Float32 keeps three digits of values that lie 10,000 deviations from 0."""
    scale = np.array([1e-17, 1e9, 1.0, 250.0, 1e-6, 3.0])
    offset = np.array([1e4, -1e4, 1e4, 0.0, 100.0, -1e3]) * scale
    config, x = replace(TRAIN, precision=precision), table().astype(np.float64)
    (_, before), (_, after) = (
        trained(dataset(values, tmp_path, missing=missing), config=config)
        for values in (x, offset + scale * x)
    )
    share = 1.0
    if missing:
        known = ~dataset(x, tmp_path, missing=True).train.x.isnan()
        share = known.double().mean(0).numpy()
    volume = (share * np.log(scale)).sum()
    difference = np.array(before) - np.array(after) - volume
    tolerance = 0.02 if precision == "fp32" else 0.1
    assert np.abs(difference[:-1]).max() < tolerance


def test_the_test_is_not_blind_to_units(tmp_path: Path):
    """Without standardisation the same change moves the ELBO by far more than its volume."""
    plain, x = replace(MODEL, standardise="none"), table()
    (_, before), (_, after) = (
        trained(dataset(values, tmp_path), plain, replace(TRAIN, epochs=16))
        for values in (x, 2.0**20 * x)
    )
    volume = COLUMNS * 20 * np.log(2)
    assert abs(before[-1] - after[-1] - volume) > 0.5


@pytest.mark.parametrize("prior", ["vamp", "mixture"])
def test_units_change_nothing_under_other_priors_and_objectives(prior, tmp_path: Path):
    model = replace(MODEL, prior=prior, components=4)
    objective = ObjectiveConfig("iwae", k=3)
    (_, before), (_, after) = (
        trained(dataset(values, tmp_path), model, objective=objective)
        for values in (table(), 2.0**10 * table())
    )
    np.testing.assert_allclose(
        np.array(before) - after, COLUMNS * 10 * np.log(2), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("likelihood", ["gaussian", "auto"])
def test_pictures_of_real_values_are_standardised_by_channel(likelihood, tmp_path: Path):
    g = np.random.default_rng(3)
    x = g.normal(size=(60, 3, 4, 4)) * np.array([1, 50, 1e-4])[:, None, None] + 300
    data = dataset(x, tmp_path)
    config = resolve(Config(model=replace(MODEL, likelihood=likelihood), train=TRAIN), data)
    model = new_model(config, data)
    assert model.likelihood.units is not None
    assert model.likelihood.units.scale.shape == (3, 1, 1)
    state = train(model, data, config.train)
    found = baseline(model.likelihood, data)
    assert found is not None
    assert state.history[-1].elbo > found.log_prob - 5


def test_constant_columns_and_heavy_tails_stay_finite_and_near_the_marginals(tmp_path: Path):
    x = table()
    x = np.c_[x, np.full(len(x), 0.1), np.random.default_rng(4).standard_t(2, (len(x), 2))]
    data = dataset(1e5 * x, tmp_path)
    model, elbos = trained(data, config=replace(TRAIN, epochs=40))
    found = baseline(model.likelihood, data)
    assert found is not None
    assert np.isfinite(elbos).all()
    assert elbos[-1] > found.log_prob - 2 * found.standard_error
    assert evaluate(model, data, k=5, seed=0).per_image["iwae"].isfinite().all()


def test_a_sentinel_is_a_value_like_others(tmp_path: Path):
    """Case 36 of a table with -999 in a tenth of its cells: the ELBO was -2.6 million nats."""
    x = np.random.default_rng(0).normal(size=(300, 4))
    x[np.random.default_rng(1).random(x.shape) < 0.1] = -999
    data = dataset(x, tmp_path)
    model, elbos = trained(data, config=replace(TRAIN, epochs=60))
    found = baseline(model.likelihood, data)
    assert found is not None
    assert elbos[-1] > found.log_prob - 2 * found.standard_error


def test_a_new_model_has_about_the_density_of_independent_gaussians(tmp_path: Path):
    """Case 6, of a table in its own units: the ELBO was -13,720,959,058 after 100 epochs."""
    r = np.random.default_rng(0)
    x = np.c_[r.uniform(20, 80, 500), r.normal(5e4, 2e4, 500), r.normal(0.01, 0.003, 500)]
    data = dataset(x, tmp_path)
    model = new_model(Config(model=MODEL, train=TRAIN), data)
    found = baseline(model.likelihood, data)
    assert found is not None
    assert found.log_prob == pytest.approx(-11.13, abs=0.3)
    terms = evaluate(model.eval(), data, k=20, seed=0).estimates
    assert terms["reconstruction"].mean == pytest.approx(found.log_prob, abs=0.5)
    _, elbos = trained(data, config=replace(TRAIN, epochs=10))
    assert elbos[-1] == pytest.approx(found.log_prob, abs=0.3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pressures_of_a_thousand_are_learned_like_their_anomalies(
    precision: Precision, tmp_path: Path
):
    """Case 7: 1013 + Z ended at -228 nats, Z at -4."""
    z = table()
    config = replace(TRAIN, precision=precision, epochs=40)
    (_, anomalies), (_, pressures) = (
        trained(dataset(values, tmp_path), config=config) for values in (z, 1013 + z)
    )
    assert pressures[-1] == pytest.approx(anomalies[-1], abs=0.3)


def test_small_noise_is_reached_within_some_hundred_steps(tmp_path: Path):
    g = np.random.default_rng(5)
    x = g.normal(size=(200, 1)) * np.ones(COLUMNS) + 0.1 * g.normal(size=(200, COLUMNS))
    data = dataset(50 * x, tmp_path)
    config = replace(TRAIN, epochs=50, batch_size=20, learning_rate=3e-3)  # 450 steps
    model, _ = trained(data, config=config)
    assert (model.likelihood.noise.scale < 0.2).all()


def test_imputations_do_not_depend_on_units(tmp_path: Path):
    """Case 3: in raw units they were up to 37 deviations off, standardised by hand below 1."""
    x, scale = table(240).astype(np.float64), np.array([1e-5, 1e6, 1.0, 20.0, 0.3, 7.0])
    offset = np.array([0.0, 5e7, -3.0, 100.0, 1.0, 37.0])
    found = []
    for unit, shift in ((1.0, 0.0), (scale, offset)):
        data = dataset(shift + unit * x, tmp_path, missing=True)
        config = replace(TRAIN, epochs=40)
        model, _ = trained(data, config=config, objective=ObjectiveConfig("iwae", k=5))
        rows = torch.tensor(shift + unit * x[:20]).float()
        mask = torch.ones(20, COLUMNS, dtype=torch.bool)
        mask[:, :2] = False
        fit = infer.laplace(model, rows, mask, generator=generator(), refine=False)
        filled = infer.complete(model, rows, mask, fit, draws=1, generator=generator()).mean
        found.append(((filled.double().numpy() - shift) / unit)[:, :2])
    np.testing.assert_allclose(found[1], found[0], atol=0.1)
    error = np.sqrt(np.square(found[1] - x[:20, :2]).mean(0)) / x[:, :2].std(0)
    assert (error < 0.9).all(), error


def test_training_measures_a_model_that_was_made_without_data(tmp_path: Path):
    data = dataset(1e6 + 1e3 * table(), tmp_path)
    model = VAE.from_config(
        replace(MODEL, data_bias=False), data.event_shape, generator=generator()
    )
    state = train(model, data, TRAIN)
    assert model.likelihood.is_measured
    assert state.history[-1].elbo > -70  # 6 columns at 8.3 nats each, of spread 1,000
    before = model.likelihood.units.location.clone()
    train(model, dataset(table(), tmp_path), TRAIN)  # a model keeps the units that it has
    assert torch.equal(model.likelihood.units.location, before)


@pytest.mark.parametrize(
    "kind",
    ["table", "binary pictures", "byte pictures"],
)
def test_own_data_end_above_their_marginals_without_options(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A tenth of the steps of the preset is enough on these small sets."""
    monkeypatch.setattr(resolving, "_STEPS", 300)
    np.save(tmp_path / "own.npy", own_data(kind))
    asked = replace(PRESETS["own"], data=DataConfig(source=str(tmp_path / "own.npy")))
    data = load_data(asked.data)
    config = resolve(replace(asked, train=replace(asked.train, threads=1, device="cpu")), data)
    model = new_model(config, data)
    train(model, data, config.train)
    found = baseline(model.likelihood, data)
    assert found is not None
    elbo = evaluate(model, data, k=10, seed=0).estimates["elbo"].mean
    assert elbo > found.log_prob + 1, (elbo, found)


def own_data(kind: str) -> np.ndarray:
    """Return 250 rows of a table in odd units, or of pictures of one blob."""
    if kind == "table":
        return table(250) * np.array([1e-9, 1, 1e6, 3, 0.1, 20])
    g = np.random.default_rng(6)
    y, x = np.mgrid[:8, :8]
    centre = g.uniform(2, 5, (2, 250, 1, 1))
    blobs = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 6)
    return blobs > 0.5 if kind == "binary pictures" else (230 * blobs).astype(np.uint8)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["table", "binary pictures", "byte pictures"])
def test_the_command_line_ends_above_the_marginals_without_options(
    kind: str, tmp_path: Path, shell: Command
):
    np.save(tmp_path / "own.npy", own_data(kind))
    outcome = shell("train", "--data", tmp_path / "own.npy", "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert "is below that of" not in outcome.err
    run = Run(tmp_path / "run")
    data, model = run.load_data(), run.load_model()  # the final weights, not those of --best
    found = baseline(model.likelihood, data)
    assert found is not None
    assert evaluate(model, data, k=10, seed=0).estimates["elbo"].mean > found.log_prob + 1
