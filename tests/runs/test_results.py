"""Results of a run, and the provenance that results.json records of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from elboroom import Run
from elboroom.errors import RunError
from elboroom.runs import atomic
from elboroom.runs.checkpoints import capture
from elboroom.runs.report import render
from tests.support.small_run import EVALUATION, small_run

FILES = ["evaluation.json", "evaluation.npz", "figures/samples.png", "figures/samples.svg"]


@pytest.fixture
def made(tmp_path: Path) -> Run:
    """A run with checkpoints of steps 1 and 2, and results of step 2."""
    return Run(small_run(tmp_path / "small"))


def figure() -> Figure:
    return Figure(figsize=(1, 1))


def listed(run: Run) -> dict[str, Any]:
    return json.loads((run.path / "results.json").read_text())


def test_an_evaluation_comes_back(made: Run):
    content = made.results.provenance(1) | {"elbo": -1.5}
    path = made.results.write_evaluation(content, {"elbo": torch.tensor([-1.0, -2.0])})
    assert path == made.path / "evaluation.json"
    assert made.results.read_evaluation() == content
    path.unlink()
    assert made.results.read_evaluation() is None


def test_a_figure_is_written_as_png_and_svg(made: Run):
    png, svg = made.results.write_figure("dots", Figure(figsize=(1, 2)), 2)
    figures = made.path / "figures"
    assert (png, svg) == (figures / "dots.png", figures / "dots.svg")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"<svg " in svg.read_bytes()
    assert made.results.figures() == {"dots": png, "samples": figures / "samples.png"}


def test_results_json_lists_the_step_and_the_weights_of_each_file(made: Run):
    made.results.write_report("<html>", 1)
    weights = {
        step: json.loads((made.checkpoints / f"step-00000{step}" / "manifest.json").read_text())[
            "files"
        ]["model.safetensors"]["sha256"][:16]
        for step in (1, 2)
    }
    assert listed(made) == {
        **{
            name: {"step": 2, "model": weights[2], "newest": 2, "weights_step": 2} for name in FILES
        },
        "report.html": {"step": 1, "model": weights[1], "newest": 2, "weights_step": 1},
    }
    description = f"elboroom, step 2 of the run, model {weights[2]}".encode()
    assert all(description in (made.path / name).read_bytes() for name in FILES[2:])


def test_a_result_is_current_for_the_step_that_it_was_made_from(made: Run):
    results = made.results
    assert [results.recorded_step(name) for name in FILES] == [2] * 4
    assert [[results.is_current(name, step) for step in (1, 2)] for name in FILES] == [
        [False, True]
    ] * 4


def test_a_file_that_is_not_listed_is_unknown(made: Run):
    (made.path / "results.json").unlink()
    for name in FILES:
        assert made.results.recorded_step(name) is None
        assert not made.results.is_current(name, 2)
    assert "data:image/png" not in render(made)


def test_a_listed_file_that_is_deleted_is_not_current(made: Run):
    (made.path / "figures" / "samples.png").unlink()
    assert not made.results.is_current("figures/samples.png", 2)
    assert made.results.is_current("figures/samples.svg", 2)


def test_results_are_not_of_another_model_at_the_same_step(made: Run):
    model, state = made.load_training(made.load_data())
    with torch.no_grad():
        next(model.parameters()).add_(1)
    made.write_checkpoint(capture(model, state))
    assert (made.checkpoints / "step-000002-2").exists()
    assert [made.results.recorded_step(name) for name in FILES] == [2] * 4
    assert [made.results.is_current(name, 2) for name in FILES] == [False] * 4
    assert "data:image/png" not in render(made)


def test_curves_are_outdated_by_a_newer_checkpoint_and_other_figures_are_not(made: Run):
    for name in ("curves", "samples"):
        made.results.write_figure(name, figure(), 2)
    model, state = made.load_training(made.load_data())
    state.step = 3
    made.write_checkpoint(capture(model, state))
    assert made.results.is_current("figures/samples.png", 2)
    assert not made.results.is_current("figures/curves.png", 2)
    assert made.results.matches("figures/curves.png", 2)


@pytest.mark.parametrize("name", ["figures/samples.png", "figures/samples.svg", "results.json"])
def test_a_result_that_is_cut_short_has_no_wrong_provenance(
    made: Run, monkeypatch: pytest.MonkeyPatch, name: str
):
    real, writes = atomic.write_file, list[str]()

    def cut(path: Path, content: bytes) -> None:
        writes.append(str(path.relative_to(made.path)))
        real(path, content)
        if writes[-1] == name and (len(writes) > 1 or name != "results.json"):
            raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "write_file", cut)
    monkeypatch.setattr("elboroom.runs.provenance.write_file", cut)
    with pytest.raises(KeyboardInterrupt):
        made.results.write_figure("samples", figure(), 1)
    steps = {made.results.recorded_step(file) for file in FILES[2:]}
    assert steps == ({1} if name == "results.json" else {None})
    assert made.results.recorded_step("evaluation.json") == 2


def test_a_damaged_results_json_is_an_error_to_read_and_is_written_again(made: Run):
    (made.path / "results.json").write_text('{"evaluation.json": {"step": 2}}')
    with pytest.raises(RunError, match=r"results\.json cannot be read\n  why: .+\n  fix: .+"):
        made.results.is_current("evaluation.json", 2)
    made.results.write_evaluation(made.results.provenance(2) | EVALUATION, {})
    assert listed(made).keys() == {"evaluation.json", "evaluation.npz"}
    assert made.results.is_current("evaluation.json", 2)
