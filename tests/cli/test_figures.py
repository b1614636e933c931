"""`elboroom figures`, `complete` and `report`."""

import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from elboroom import Run
from elboroom.config import FigureName
from tests.support.command import Command
from tests.support.outcomes import error


def test_only_the_named_figures_are_drawn(elboroom: Command, run: Path):
    outcome = elboroom("figures", run, "--only", "samples", "curves")
    assert outcome == (
        0,
        f"{run}/figures/samples.png and .svg\n{run}/figures/curves.png and .svg\n",
        "",
    )
    names = sorted(path.name for path in (run / "figures").iterdir())
    assert names == ["curves.png", "curves.svg", "samples.png", "samples.svg"]


@pytest.mark.parametrize("name", ["contours", "manifold"])
def test_a_figure_of_the_plane_needs_two_latents(elboroom: Command, deep: Path, name: str):
    assert error(elboroom("figures", deep, "--only", name), 2) == [
        f"the {name} figure needs a two-dimensional latent space",
        "this model has 3 latents, not a plane of two",
        "train with --latents 2, or draw other figures with --only",
    ]


def test_figures_that_cannot_be_drawn_are_left_out_where_all_are_asked_for(
    elboroom: Command, deep: Path
):
    outcome = elboroom("figures", deep)
    assert (outcome.code, outcome.err) == (0, "")
    left_out = [x for x in outcome.out.splitlines() if x.startswith("left out: ")]
    assert left_out == [
        "left out: contours, manifold, because this model has 3 latents, not a plane of two"
    ]
    drawn = {path.stem for path in (deep / "figures").glob("*.png")}
    assert drawn == {*get_args(FigureName)} - {"levels", "contours", "manifold"}


def test_a_pair_with_a_class_that_is_absent_is_refused(elboroom: Command, run: Path):
    outcome = elboroom("figures", run, "--only", "interpolation", "--pairs", "1-2", "3-11")
    assert error(outcome, 2) == [
        "no test image has class 11",
        "the classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "name other --pairs, or leave the option out",
    ]


@pytest.mark.parametrize("pair", ["1", "1:2", "-", "1-"])
def test_a_malformed_pair_is_refused(elboroom: Command, run: Path, pair: str):
    outcome = elboroom("figures", run, "--only", "interpolation", f"--pairs={pair}")
    assert error(outcome, 2) == [
        f"--pairs {pair} is not a pair of classes",
        "a pair is written as two class names with a hyphen between; the classes are "
        "0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "write it as in --pairs 1-2 cat-dog, or leave the option out",
    ]


def test_completion_prints_the_elbo_of_every_row_and_draws_it(elboroom: Command, run: Path):
    outcome = elboroom("complete", run, "--mask", "left", "--index", 29, 0)
    assert (outcome.code, outcome.err) == (0, "")
    found = r"│ *svi *│ *ELBO -\d+\.\d\d *│[^│]+-\d+\.\d\d ± \d+\.\d\d\)? *│[^│]+│"
    numbers = Run(run).load_data().test.numbers
    *rows, drawn = (line for line in outcome.out.splitlines() if "svi" in line or "png" in line)
    for row, index in zip(rows, (29, 0), strict=True):
        assert re.fullmatch(rf"│ *test image {index} *│ *row {numbers[index]} *{found}", row)
    assert drawn == f"{run}/figures/complete-left.png and .svg"
    assert (run / "figures" / "complete-left.png").exists()


def test_a_picture_can_be_completed_under_a_mask_from_a_file(
    elboroom: Command, run: Path, tmp_path: Path
):
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / "x.png")
    np.save(tmp_path / "m.npy", np.eye(8, dtype=bool))
    outcome = elboroom("complete", run, "--mask", tmp_path / "m.npy", "--image", tmp_path / "x.png")
    assert (outcome.code, outcome.err) == (0, "")
    assert re.search(r"^│ *x\.png *│ *│ *svi *│ *ELBO -", outcome.out, re.MULTILINE)
    assert (run / "figures" / "complete-m.svg").exists()


def test_a_picture_of_another_size_is_refused(elboroom: Command, run: Path, tmp_path: Path):
    path = tmp_path / "x.png"
    Image.new("L", (28, 27)).save(path)
    assert error(elboroom("complete", run, "--mask", "top", "--image", path), 2) == [
        f"{path} has the wrong size",
        "found 28 × 27 pixels; expected 8 × 8, the size of the model's images",
        "resize it first; a model that was trained by --size takes pictures of any size",
    ]


def test_a_report_evaluates_and_draws_what_is_missing(elboroom: Command, run: Path):
    outcome = elboroom("report", run)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == f"open {run}/report.html"
    html = (run / "report.html").read_text()
    assert html.count("<figure ") == len(get_args(FigureName)) - 1 == 10  # no levels
    stored = json.loads((run / "evaluation.json").read_text())
    assert f"{stored['estimates']['elbo']['mean']:.2f} ± " in html


def test_wrong_usage_is_not_left_out_but_refused(elboroom: Command, run: Path):
    outcome = elboroom("figures", run, "--mask", "nosuch.npy")
    refused = outcome.err.splitlines()
    assert outcome.code == 2
    assert refused[0] == "error: cannot read the mask nosuch.npy"
