"""What a result says of its step is read back, whatever follows it."""

import json
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from elboroom import Run
from elboroom.runs.provenance import mark, marked_model, marked_step
from elboroom.runs.report import render

STEPS = [0, 1, 12, 120, 999_999, 10**12]


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("step", STEPS)
def test_a_figure_says_it(tmp_path: Path, kind: str, step: int):
    figure = Figure(figsize=(1, 1))
    figure.savefig(tmp_path / "f", format=kind, metadata={"Description": mark(step)})
    assert marked_step(tmp_path / "f") == step


@pytest.mark.parametrize("step", STEPS)
def test_json_says_it_by_its_first_step(tmp_path: Path, step: int):
    content = {"step": step, "identity": {"source": '"step": 3, '}, "latents": {"step": 4}}
    (tmp_path / "f").write_text(json.dumps(content, indent=2))
    assert marked_step(tmp_path / "f") == step


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("model", [None, "0123456789abcdef"])
def test_a_figure_says_of_which_model_it_is(tmp_path: Path, kind: str, model: str | None):
    figure = Figure(figsize=(1, 1))
    figure.savefig(tmp_path / "f", format=kind, metadata={"Description": mark(12, model)})
    assert (marked_step(tmp_path / "f"), marked_model(tmp_path / "f")) == (12, model)


def test_results_are_not_of_another_model_at_the_same_step(run: Path):
    opened = Run(run)
    model, state = opened.load_training(opened.load_data())
    opened.write_figure("samples", Figure(figsize=(1, 1)), 12)
    opened.write_evaluation(opened.origin(12) | {"k": 5, "estimates": {}}, {})
    names = ["evaluation.json", "figures/samples.png", "figures/samples.svg"]
    assert [opened.holds(name, 12) for name in names] == [True] * 3
    with torch.no_grad():
        next(model.parameters()).add_(1)
    opened.save(model, state)
    assert [opened.step_of(name) for name in names] == [12] * 3
    assert [opened.holds(name, 12) for name in names] == [False] * 3
    assert "data:image/png" not in render(opened)


@pytest.mark.parametrize("after", [b"", b"3", b" ", b"\xff"])
def test_bytes_that_follow_are_no_part_of_it(tmp_path: Path, after: bytes):
    (tmp_path / "f").write_bytes(b"\x89PNG" + mark(12).encode() + after)
    assert marked_step(tmp_path / "f") == 12


@pytest.mark.parametrize("content", [b"", b"<html>", b"step 3 of", b"x" * 5_000 + b'"step": 3,'])
def test_other_files_do_not(tmp_path: Path, content: bytes):
    (tmp_path / "f").write_bytes(content)
    assert marked_step(tmp_path / "f") is None
