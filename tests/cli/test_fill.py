"""`elboroom complete --out`: filled data of every row, as the source has them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import infer
from elboroom.cli import fill
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error


def torn(rows: int, seed: int = 0) -> np.ndarray:
    """Draw a table in its own units, float64, a fifth of it missing."""
    r = np.random.default_rng(seed)
    table = r.normal(size=(rows, 2)) @ r.normal(size=(2, 5)) * [1, 5, 1e3, 0.1, 1] + [
        0,
        50,
        9,
        1,
        3,
    ]
    table[r.random(table.shape) < 0.2] = np.nan
    return table


@pytest.fixture
def table(tmp_path: Path) -> np.ndarray:
    found = torn(120)
    np.save(tmp_path / "t.npy", found)
    return found


@pytest.fixture
def table_run(tmp_path: Path, table: np.ndarray) -> Run:
    return brief_run(tmp_path / "run", tmp_path / "t.npy", data_bias=False)


def filled(elboroom: Command, run: Run, out: Path, *options: object) -> dict[str, Any]:
    outcome = elboroom("complete", run.path, "--out", out, *options)
    assert (outcome.code, outcome.err) == (0, "")
    told, path = outcome.out.splitlines()
    assert path == str(out)
    assert ("--part all" in told) == ({"--part", "--data", "--index"}.isdisjoint(options))
    with np.load(out) as file:
        return dict(file)


def test_what_is_missing_in_a_table_is_filled_in(
    elboroom: Command, table_run: Run, table: np.ndarray, out: Path
):
    found = filled(elboroom, table_run, out, "--part", "all", "--method", "grid", "--draws", 4)
    known = ~np.isnan(table)
    assert np.array_equal(found["seen"], known)
    for values in (found["mean"], *found["draws"]):
        assert values.dtype == np.float64
        assert np.array_equal(values[known], table[known])  # bit for bit
        assert np.isfinite(values).all()
    assert found["draws"].shape == (4, 120, 5)
    assert found["row"].tolist() == found["index"].tolist() == [*range(120)]
    deviation = found["standard_deviation"]
    assert (deviation[known] == 0).all()
    assert (deviation[~known] > 0).all()
    summary = json.loads(str(found["summary"]))
    assert (summary["filled"], summary["images"]) == ((~known).sum(), 120)


def test_means_and_deviations_are_those_of_the_model(
    elboroom: Command, table_run: Run, table: np.ndarray, out: Path
):
    found = filled(elboroom, table_run, out, "--part", "all", "--method", "grid")
    x = torch.from_numpy(table).float()
    mask, noise = ~x.isnan(), torch.Generator().manual_seed(3)
    model = table_run.load_model()
    posterior = infer.grid(model, x, mask, generator=noise)
    drawn = infer.complete(model, x, mask, posterior, draws=2_000, generator=noise).draws.double()
    missing = ~mask.numpy()
    deviation, mean = drawn.std(0).numpy()[missing], drawn.mean(0).numpy()[missing]
    # 256 draws: a standard error of 1 / sqrt(2 * 256) of the deviation
    ratio = found["standard_deviation"][missing] / deviation
    assert np.abs(ratio - 1).max() < 5 * (2 * 256) ** -0.5
    assert (np.abs(found["mean"][missing] - mean) < 5 * deviation * 256**-0.5).all()


def test_a_mask_hides_seen_values_which_are_filled_in_too(
    elboroom: Command, table_run: Run, table: np.ndarray, out: Path, tmp_path: Path
):
    np.save(tmp_path / "m.npy", np.arange(5) < 3)
    options = ["--mask", tmp_path / "m.npy", "--method", "encoder"]
    found = filled(elboroom, table_run, out, *options)
    rows = table[found["row"]]
    seen = ~np.isnan(rows) & (np.arange(5) < 3)
    assert np.array_equal(found["seen"], seen)
    assert np.array_equal(found["mean"][seen], rows[seen])
    assert not np.isclose(found["mean"][:, 3:], rows[:, 3:]).any()
    assert np.array_equal(found["row"], table_run.load_data().test.numbers)


def test_a_npy_holds_the_means_alone(
    elboroom: Command, table_run: Run, tmp_path: Path, table: np.ndarray
):
    both = [tmp_path / "f.npz", tmp_path / "f.npy"]
    options = ["--part", "all", "--method", "encoder"]
    found = filled(elboroom, table_run, both[0], *options)
    elboroom("complete", table_run.path, "--out", both[1], *options)
    assert np.array_equal(np.load(both[1]), found["mean"])


def test_new_data_are_filled_in(elboroom: Command, table_run: Run, tmp_path: Path, out: Path):
    new = torn(7, seed=3).astype(np.float32)
    np.save(tmp_path / "new.npy", new)
    options = ["--data", tmp_path / "new.npy", "--method", "encoder", "--index", 6, 2]
    found = filled(elboroom, table_run, out, *options)
    known = ~np.isnan(new[[6, 2]])
    assert found["row"].tolist() == [6, 2]
    assert found["mean"].dtype == np.float32
    assert np.array_equal(found["mean"][known], new[[6, 2]][known])


def test_batches_are_joined_in_order(
    elboroom: Command, table_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    options = ["--part", "all", "--method", "encoder"]
    whole = filled(elboroom, table_run, tmp_path / "a.npz", *options)
    monkeypatch.setattr(fill, "_VALUES", 256 * 5 * 50)  # 50 rows at a time
    parts = filled(elboroom, table_run, tmp_path / "b.npz", *options)
    assert np.array_equal(parts["seen"], whole["seen"])
    assert np.array_equal(parts["mean"][whole["seen"]], whole["mean"][whole["seen"]])
    assert not np.array_equal(parts["draws"][:, 50:], whole["draws"][:, 50:])  # noise of its own
    noise = 5 * whole["standard_deviation"] * (2 / 256) ** 0.5
    assert (np.abs(parts["mean"] - whole["mean"]) <= noise).all()


@pytest.mark.parametrize("kind", ["grey", "binary"])
def test_pictures_come_back_as_bytes(elboroom: Command, tmp_path: Path, out: Path, kind: str):
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 4), dtype=np.uint8)
    if kind == "binary":
        images = (images > 99).astype(np.uint8) * 255
    np.save(tmp_path / "x.npy", images)
    run = brief_run(tmp_path / "run", tmp_path / "x.npy")
    found = filled(elboroom, run, out, "--mask", "top", "--part", "all", "--method", "encoder")
    assert found["draws"].dtype == np.uint8
    assert found["mean"].dtype == np.float32
    assert found["draws"].shape == (3, 40, 6, 4)
    for values in (found["mean"], *found["draws"]):
        assert np.array_equal(values[:, :3], images[:, :3])
    assert found["mean"][:, 3:].mean() == pytest.approx(images.mean(), rel=0.2)
    assert not (run.path / "figures").exists()


def test_thresholded_pictures_keep_the_grey_levels_that_were_seen(
    elboroom: Command, tmp_path: Path, out: Path
):
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 4), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    threshold = {"binarisation": "threshold"}
    run = brief_run(tmp_path / "run", tmp_path / "x.npy", data=threshold, likelihood="bernoulli")
    found = filled(elboroom, run, out, "--mask", "left", "--part", "all", "--method", "encoder")
    assert np.array_equal(found["draws"][0][..., :2], images[..., :2])
    assert np.unique(found["draws"][..., 2:]).tolist() == [0, 255]


def test_a_table_is_completed_without_a_figure(elboroom: Command, table_run: Run, tmp_path: Path):
    np.save(tmp_path / "m.npy", np.arange(5) < 3)
    options = ["--mask", tmp_path / "m.npy", "--method", "encoder", "grid"]
    outcome = elboroom("complete", table_run.path, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == (
        "left out: the completion figure needs images; --out FILE.npz writes the completed values"
    )
    assert "┃row " in outcome.out
    assert "image" not in outcome.out.splitlines()[2]
    printed = json.loads(elboroom("complete", table_run.path, *options, "--json").out)
    assert printed["figure"] is None
    assert len(printed["completions"]) == 16
    assert all(np.isfinite(c["score"]) for c in printed["completions"])


@pytest.mark.parametrize("shape", [(40, 2, 4, 4), (40, 4, 9, 9)])
def test_events_that_are_no_pictures_are_completed(
    elboroom: Command, tmp_path: Path, shape: tuple[int, ...]
):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=shape))
    run = brief_run(tmp_path / "run", tmp_path / "x.npy", data_bias=False)
    outcome = elboroom("complete", run.path, "--mask", "top", "--method", "encoder", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["figure"] is None


def test_missing_values_alone_have_no_score(elboroom: Command, table_run: Run):
    printed = json.loads(elboroom("complete", table_run.path, "--json", "--method", "grid").out)
    assert printed["mask"] is None
    assert all("log_evidence" in c and "score" not in c for c in printed["completions"])
    outcome = elboroom("complete", table_run.path, "--method", "grid")
    assert "log p(unseen | seen)" not in outcome.out


@pytest.mark.parametrize("options", [[], ["--out", "f.npz"]])
def test_where_nothing_is_missing_a_mask_is_asked_for(
    elboroom: Command, run: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(run.parent)
    what, why, fix = error(elboroom("complete", run, *options), 2)
    assert what == "there is nothing to complete"
    assert why == "no value of digits.npz is missing, and no mask hides any"
    assert "--mask" in fix


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--out", "f.csv"], "--out f.csv cannot be used"),
        (["--out", "f.npz", "--method", "svi", "hmc"], "--method svi hmc cannot be used"),
        (["--out", "f.npz", "--image", "x.png"], "--out f.npz cannot be used"),
        (["--data", "b.npy", "--image", "x.png"], "--data b.npy cannot be used"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    elboroom: Command, run: Path, options: list[str], what: str
):
    assert error(elboroom("complete", run, *options), 2)[0] == what


def test_a_file_in_the_way_is_kept(elboroom: Command, table_run: Run, out: Path):
    out.write_bytes(b"mine")
    refused = error(elboroom("complete", table_run.path, "--out", out), 1)
    assert refused[0] == f"{out} is in the way"
    assert out.read_bytes() == b"mine"


def test_draws_lie_about_their_mean(
    elboroom: Command, table_run: Run, table: np.ndarray, out: Path
):
    options = ["--part", "all", "--method", "grid", "--draws", 400, "--index", *range(10)]
    found = filled(elboroom, table_run, out, *options)
    missing = np.isnan(table[:10])
    scale = found["standard_deviation"][missing]
    draws, mean = found["draws"][:, missing] / scale, found["mean"][missing] / scale
    error_of_mean = 5 * (1 / 400 + 1 / 256) ** 0.5
    assert (np.abs(draws.mean(0) - mean) < error_of_mean).all()
