"""`elboroom evaluate`."""

import json
import math
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.runs.checkpoints import capture
from elboroom.runs.doctor.run_folder import check_run
from elboroom.runs.report import render
from elboroom.runs.run import Run
from elboroom.training.state import Snapshot
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error
from tests.support.small_run import small_run


def test_evaluation_prints_a_table_and_stores_it(elboroom: Command, run: Path):
    outcome = elboroom("evaluate", run, "--k", 3)
    assert (outcome.code, outcome.err) == (0, "")
    title = "digits.npz, threshold binarisation, stratified split, 30 test images, K = 3"
    assert outcome.out.splitlines()[0].strip() == title
    stored = json.loads((run / "evaluation.json").read_text())
    for name, quantity in [("elbo", "ELBO"), ("iwae", "IWAE bound, K = 3")]:
        estimate = stored["estimates"][name]
        cell = f"{estimate['mean']:.2f} ± {estimate['standard_error']:.2f}"
        assert re.search(rf"│ {re.escape(quantity)} +│ +{re.escape(cell)} │", outcome.out)


def test_evaluation_as_json_is_what_is_stored(elboroom: Command, run: Path):
    outcome = elboroom("evaluate", run, "--json", "--k", 20)
    printed = json.loads(outcome.out)
    assert printed == json.loads((run / "evaluation.json").read_text())
    assert printed["identity"]["binarisation"] == "threshold"
    assert printed["identity"]["split"] == "stratified"
    assert (printed["k"], printed["images"], printed["unit"]) == (20, 30, "nats per image")


def test_a_run_does_not_differ_from_itself(
    elboroom: Command, run: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(run.parent)
    other = shutil.copytree(trained, Path("[b]:x:"))  # neither markup nor emoji
    outcome = elboroom("evaluate", run.name, "--k", 20, "--json", "--compare", other)
    zero = {"mean": 0.0, "standard_error": 0.0}
    assert json.loads(outcome.out)["differences"] == {
        str(other): dict.fromkeys(["elbo", "reconstruction", "kl", "iwae"], zero)
    }
    header = elboroom("evaluate", run.name, "--k", 20, "--compare", other).out.splitlines()[2]
    assert " ".join(header.split()) == "┃ quantity ┃ run, step 12 ┃ − [b]:x:, step 12 ┃"


def test_runs_on_unlike_data_are_not_compared(
    elboroom: Command, run: Path, small: list[str], tmp_path: Path
):
    other = tmp_path / "other"
    options = [*small, "--binarisation", "static", "--epochs", "1", "--quiet"]
    assert elboroom("train", *options, "--out", other).code == 0
    assert error(elboroom("evaluate", run, "--compare", other), 2) == [
        "these results cannot be compared",
        "they are of different data (binarisation: threshold against static)",
        "evaluate runs that share data, binarisation and split",
    ]


def test_comparing_leaves_the_other_run_as_it_was(elboroom: Command, run: Path, tmp_path: Path):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    assert elboroom("evaluate", run, "--compare", other, "--k", "2").code == 0
    assert not (other / "evaluation.json").exists()


def test_annealing_and_its_certificate_are_printed_and_stored(elboroom: Command, run: Path):
    options = ["--k", 100, "--ais", 8, "--certify", 12, "--distributions", 60, "--chains", 4]
    outcome = elboroom("evaluate", run, *options)
    assert (outcome.code, outcome.err) == (0, "")
    stored = json.loads((run / "evaluation.json").read_text())
    annealed, certified = stored["ais"], stored["certificate"]
    assert (annealed["images"], certified["images"]) == (8, 12)
    moves = annealed["distributions"], annealed["chains"], annealed["schedule"]
    assert moves == (60, 4, "sigmoid")
    ais, iwae = (annealed["estimates"][name]["mean"] for name in ("log_evidence", "iwae"))
    assert abs(ais - iwae) < 0.3  # posteriors of a small net are nearly the encoder's
    assert certified["estimates"]["gap"]["mean"] < 0.1
    assert f"AIS, 60 distributions × 4 chains, first 8 images: {ais:.2f}" in outcome.out
    assert "BDMC, 60 distributions × 4 chains, 12 images drawn from the model:" in outcome.out
    with np.load(run / "evaluation.npz") as per_image:
        values = {"elbo", "reconstruction", "kl", "iwae", "ess", "k_hat"}
        assert set(per_image) == values | {"row"}
        assert per_image["iwae"].mean() == pytest.approx(stored["estimates"]["iwae"]["mean"])


def test_more_images_than_there_are_cannot_be_annealed(elboroom: Command, run: Path):
    assert error(elboroom("evaluate", run, "--ais", 31), 2) == [
        "--ais 31 is more than the test part has",
        "the test part has rows 0 to 29",
        "name rows within it, or another --part",
    ]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A run whose test part has 350 rows."""
    x = np.random.default_rng(0).normal(size=(500, 4))
    np.savez(tmp_path / "x.npz", x_train=x[:150], x_test=x[150:])
    return brief_run(tmp_path / "many", tmp_path / "x.npz").path


def interrupting(monkeypatch: pytest.MonkeyPatch, images: float, number: int = signal.SIGINT):
    """Let a signal come once so many images are done."""
    done = [0.0]

    @contextmanager
    def counting_stages(*_: Any, **__: Any) -> Iterator[Any]:
        def advance(some: float) -> None:
            done[0] += some
            if done[0] >= images:
                done[0] = -math.inf
                signal.raise_signal(number)

        yield (lambda stage, count: None), advance

    monkeypatch.setattr("elboroom.cli.evaluate.counting_stages", counting_stages)
    one_at_a_time = "elboroom.evaluation.row_batches.decoded_at_a_time"
    monkeypatch.setattr(one_at_a_time, lambda model, x: len(x))


def test_by_default_only_a_subset_has_all_samples(elboroom: Command, many: Path):
    outcome = elboroom("evaluate", many, "--k", 200, "--k-all", 5, "--error", 0.5)
    assert outcome.code == 0
    assert "IWAE bound, K = 200" in outcome.out
    assert "5 samples for all rows, 200 for 200 random ones (pilot 100)" in outcome.out
    stored = json.loads((many / "evaluation.json").read_text())
    assert stored["subset"]["images"] == 200
    assert all(f.level == "ok" for f in check_run(many) if f.name.startswith("evaluation"))
    page = render(Run(many))
    assert "5 samples for all rows, 200 for 200 random ones" in page
    with np.load(many / "evaluation.npz") as values:
        assert (values["stage"] > 0).sum() == 200
        assert np.isnan(values["iwae_subset"]).sum() == 150


def test_a_file_of_the_rows_has_all_samples_of_each(elboroom: Command, many: Path, tmp_path: Path):
    options = ["--k", 200, "--k-all", 5, "--out", tmp_path / "rows.npz"]
    assert elboroom("evaluate", many, *options).code == 0
    with np.load(tmp_path / "rows.npz") as values:
        assert "stage" not in values
        assert "subset" not in json.loads(str(values["summary"]))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full)],
)
def test_a_signal_keeps_the_finished_rows(
    elboroom: Command, many: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
):
    interrupting(monkeypatch, 150, number)
    outcome = elboroom("evaluate", many, "--k", 20, "--error", 0, "--ais", 2)
    assert outcome.code == code
    assert "stopped early: 100 of 350 rows, chosen at random" in outcome.out
    assert "stopped early, without --ais" in outcome.err
    stored = json.loads((many / "evaluation.json").read_text())
    assert (stored["images"], stored["partial"]["of"]) == (100, 350)
    assert "100 of 350 rows, chosen at random" in render(Run(many))
    with np.load(many / "evaluation.npz") as values:
        assert len(values["row"]) == len(values["iwae"]) == 100
        assert values["iwae"].mean() == pytest.approx(stored["estimates"]["iwae"]["mean"])
        assert len(set(values["row"])) == 100


def test_a_partial_evaluation_does_not_replace_a_whole_one(
    elboroom: Command, many: Path, monkeypatch: pytest.MonkeyPatch
):
    assert elboroom("evaluate", many, "--k", 5).code == 0
    whole = (many / "evaluation.json").read_bytes()
    interrupting(monkeypatch, 150)
    outcome = elboroom("evaluate", many, "--k", 20, "--error", 0)
    assert outcome.code == 130
    assert "evaluation.json keeps the whole evaluation that it has" in outcome.out
    assert (many / "evaluation.json").read_bytes() == whole


def test_a_signal_before_the_first_batch_is_finished_says_that_nothing_is_known(
    elboroom: Command, many: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupting(monkeypatch, 50)
    outcome = elboroom("evaluate", many, "--k", 20, "--error", 0)
    assert (outcome.code, outcome.out) == (130, "")
    assert "interrupted by SIGINT: nothing is known yet" in outcome.err
    assert not (many / "evaluation.json").exists()


def test_a_signal_in_a_supplement_keeps_the_evaluation(
    elboroom: Command, many: Path, monkeypatch: pytest.MonkeyPatch
):
    def press(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("elboroom.cli.evaluate.certify", press)
    options = ["--ais", 2, "--certify", 2, "--distributions", 3, "--chains", 2]
    outcome = elboroom("evaluate", many, "--k", 5, *options, "--compare", many)
    assert outcome.code == 143
    assert f"stopped early, without --certify, --compare {many}" in outcome.err
    stored = json.loads((many / "evaluation.json").read_text())
    assert stored["images"] == 350
    assert ("ais" in stored, "certificate" in stored) == (True, False)


def with_older_weights(path: Path) -> Path:
    """Return a run whose training ended at step 3 with the weights of step 1."""
    run = Run(small_run(path))
    model, state = run.load_training(run.load_data())
    state.step, state.best = 3, Snapshot(1, model.state_dict())
    run.write_checkpoint(capture(model, state))
    return run.path


def test_weights_that_training_kept_are_named(
    elboroom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = with_older_weights(tmp_path / "kept")
    monkeypatch.chdir(tmp_path)
    outcome = elboroom("evaluate", run.name, "--k", 2)
    assert "kept, step 3 with the weights of step 1 ┃" in outcome.out
    for file in ("evaluation.json", "results.json"):
        found = json.loads((run / file).read_text())
        found = found.get("evaluation.json", found)
        assert (found["step"], found["weights_step"]) == (3, 1)
    out = elboroom("infer", run, "--method", "encoder", "--images", 1, "--out", "z.npz").out
    assert "seen, step 3 with the weights of step 1, encoder" in " ".join(out.split())
