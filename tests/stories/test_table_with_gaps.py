"""A CSV of 500 rows and 12 columns with a fifth missing, from the file to the filled table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom import Dataset, Run, evaluate, infer, resolve, train_run
from elboroom.config import PRESETS
from tests.support.command import Command

ROWS, COLUMNS = 500, 12
LOCATION = np.array([50, 75, 5.5, 60, 1.4, 3.1, 3, 26, 125, 80, 70, 36.8])
SCALE = np.array([7, 7.5, 0.5, 12, 0.2, 0.45, 1, 2, 7.5, 4.5, 5, 0.2])


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    r = np.random.default_rng(1)
    factors = r.normal(size=(ROWS, 3)) @ r.normal(size=(3, COLUMNS)) / 3**0.5
    return LOCATION + SCALE * (factors + 0.3 * r.normal(size=(ROWS, COLUMNS)))


@pytest.fixture(scope="module")
def table(truth: np.ndarray) -> np.ndarray:
    hidden = np.random.default_rng(2).random(truth.shape) < 0.2
    return np.where(hidden, np.nan, truth)


def errors_in_sd(filled: np.ndarray, truth: np.ndarray, table: np.ndarray) -> float:
    """Return the root mean square error of the hidden cells, in standard deviations."""
    scaled = (filled - truth) / truth.std(0)
    return float(np.sqrt((scaled[np.isnan(table)] ** 2).mean()))


@pytest.mark.full
def test_from_the_csv_to_the_filled_table(
    elboroom: Command, tmp_path: Path, truth: np.ndarray, table: np.ndarray
):
    csv, run, out = tmp_path / "t.csv", tmp_path / "run", tmp_path / "filled.npz"
    names = ",".join(f"c{i}" for i in range(COLUMNS))
    np.savetxt(csv, table, delimiter=",", header=names, comments="")

    # 1. Training needs no option, and prints what was read.
    outcome = elboroom("train", "--data", csv, "--threads", 1, "--out", run)
    assert outcome.code == 0
    for words in ("500 rows", "12 values", "missing", "column c11: real", "gaussian"):
        assert words in outcome.err, words
    assert "below" not in outcome.err  # no warning of a bound below the marginals

    # 2. All rows are filled in the units of the file, with honest intervals.
    assert elboroom("complete", run, "--part", "all", "--out", out, "--draws", 40).code == 0
    filled = np.load(out)
    order = filled["row"]
    seen = ~np.isnan(table[order])
    np.testing.assert_array_equal(filled["mean"][seen], table[order][seen].astype("f4"))
    assert errors_in_sd(filled["mean"], truth[order], table[order]) < 0.5
    low, high = np.quantile(filled["draws"], [0.05, 0.95], axis=0)
    inside = ((low <= truth[order]) & (truth[order] <= high))[~seen]
    assert 0.82 < inside.mean() < 0.97

    # 3. A report is made; the figures that need pictures are left out, each with a line.
    outcome = elboroom("report", run)
    assert outcome.code == 0
    assert (run / "report.html").is_file()


def test_from_arrays_in_python(tmp_path: Path, truth: np.ndarray, table: np.ndarray):
    data = Dataset.from_arrays(table)
    config = resolve(PRESETS["own"], data)
    assert (config.model.likelihood, len(data.test)) == ("gaussian", 50)
    config = replace(config, train=replace(config.train, epochs=40, threads=1))
    run = Run.create(tmp_path / "run", config, data)
    model, _ = train_run(run, data)
    assert evaluate(model, data, k=20, seed=0).estimates["elbo"].mean > -25
    generator = torch.Generator().manual_seed(0)
    mask = ~np.isnan(table)
    posterior = infer.svi(model, table, mask, generator=generator)
    filled = infer.complete(model, table, mask, posterior, draws=5, generator=generator)
    np.testing.assert_allclose(filled.mean.numpy()[mask], table[mask], rtol=1e-6)
    assert errors_in_sd(filled.mean.numpy(), truth, table) < 0.8
