"""Rows have names: every result says which row of the source, and which file, it is of."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elboroom import DataConfig, load_data
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error


def sparse(rows: int, side: int = 8) -> np.ndarray:
    """Draw black pictures with a few white pixels."""
    drawn = np.random.default_rng(0).random((rows, side, side)) < 0.15
    return drawn.astype(np.uint8) * 255


def planted(source: Path, part: str) -> int:
    """Write 200 pictures, one of them white, in a part of the split; return its row."""
    images = sparse(200)
    np.save(source, images)
    row = int(load_data(DataConfig(source=str(source))).part(part).numbers[3])  # type: ignore[arg-type]
    images[row] = 255
    np.save(source, images)
    return row


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_the_worst_row_of_an_evaluation_is_found_in_the_source(elboroom: Command, tmp_path: Path):
    source = tmp_path / "d.npy"
    row = planted(source, "test")
    run = brief_run(tmp_path / "run", source)
    assert elboroom("evaluate", run.path, "--k", 20).code == 0
    found = arrays(run.path / "evaluation.npz")
    assert found["row"][found["iwae"].argmin()] == row
    assert np.array_equal(found["row"], run.load_data().test.numbers)
    # without its numbers the same row is only a place in the part, as it was once
    assert found["iwae"].argmin() == 3


@pytest.mark.parametrize("part", ["train", "validation", "all"])
def test_every_part_is_evaluated_and_the_runs_own_evaluation_is_kept(
    elboroom: Command, tmp_path: Path, part: str
):
    source, out = tmp_path / "d.npy", tmp_path / "e.npz"
    np.save(source, sparse(200))
    run = brief_run(tmp_path / "run", source, data={"validation": 30})
    data = run.load_data()
    elboroom("evaluate", run.path, "--k", 5)
    kept = (run.path / "evaluation.json").read_bytes()
    outcome = elboroom("evaluate", run.path, "--k", 5, "--part", part, "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == str(out)
    rows = data.part(part)  # type: ignore[arg-type]
    words = f"all {len(rows)}" if part == "all" else f"{len(rows)} {part}"
    assert f"d.npy, values as they are, stratified split, {words} images" in outcome.out
    found = arrays(out)
    assert np.array_equal(found["row"], rows.numbers)
    assert json.loads(str(found["summary"]))["part"] == part
    assert (run.path / "evaluation.json").read_bytes() == kept
    if part == "all":
        assert np.array_equal(found["row"], np.arange(200))


def test_an_outlier_in_the_training_part_is_found(elboroom: Command, tmp_path: Path):
    source, out = tmp_path / "d.npy", tmp_path / "e.npz"
    row = planted(source, "train")
    run = brief_run(tmp_path / "run", source)
    for part in ("train", "all"):
        out.unlink(missing_ok=True)
        elboroom("evaluate", run.path, "--k", 20, "--part", part, "--out", out)
        found = arrays(out)
        assert found["row"][found["iwae"].argmin()] == row


def test_an_evaluation_that_is_not_kept_says_so(elboroom: Command, run: Path):
    outcome = elboroom("evaluate", run, "--k", 5, "--part", "train")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1].startswith("not kept: --out FILE.npz keeps")
    assert not (run / "evaluation.json").exists()


def test_out_beside_the_runs_own_evaluation_has_the_same_values(
    elboroom: Command, run: Path, tmp_path: Path
):
    out = tmp_path / "e.npz"
    outcome = elboroom("evaluate", run, "--k", 5, "--out", out)
    assert outcome.out.splitlines()[-1] == f"{run / 'evaluation.json'} and {out}"
    found, stored = arrays(out), arrays(run / "evaluation.npz")
    summary = json.loads(str(found.pop("summary")))
    assert found.keys() == stored.keys()
    assert all(np.array_equal(found[name], stored[name]) for name in stored)
    assert summary == json.loads((run / "evaluation.json").read_text())


def test_pictures_of_a_folder_are_named_by_their_file(elboroom: Command, tmp_path: Path):
    folder, out = tmp_path / "pictures", tmp_path / "z.npz"
    for name, images in (("cats", sparse(20)), ("dogs", 255 - sparse(20))):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{number:02}.png")
    run = brief_run(tmp_path / "run", folder)
    elboroom("evaluate", run.path, "--k", 5)
    test = run.load_data().test
    found = arrays(run.path / "evaluation.npz")
    assert test.files is not None
    assert tuple(found["file"]) == test.files
    assert (folder / found["file"][0]).exists()
    elboroom("infer", run.path, "--out", out, "--method", "encoder", "--index", 2, 0)
    drawn = arrays(out)
    assert drawn["index"].tolist() == [2, 0]
    assert drawn["file"].tolist() == [test.files[2], test.files[0]]
    assert drawn["row"].tolist() == test.numbers[[2, 0]].tolist()
    outcome = elboroom("complete", run.path, "--mask", "top", "--index", 1, "--method", "encoder")
    assert re.search(rf"│ *row {test.numbers[1]}, ", outcome.out)
    assert test.files[1] in outcome.out
    printed = json.loads(
        elboroom("complete", run.path, "--mask", "top", "--method", "encoder", "--json").out
    )
    assert [(c["row"], c["file"]) for c in printed["completions"]] == [
        *zip(test.numbers.tolist(), test.files, strict=True)
    ]


def test_rows_of_several_arrays_are_named_by_their_array_too(elboroom: Command, tmp_path: Path):
    source, out = tmp_path / "d.npz", tmp_path / "z.npz"
    np.savez(source, x_train=sparse(60), x_test=sparse(9))
    run = brief_run(tmp_path / "run", source)
    elboroom("infer", run.path, "--out", out, "--method", "encoder")
    found = arrays(out)
    assert (str(found["array"]), found["row"].tolist()) == ("x_test", [*range(9)])
    outcome = elboroom("complete", run.path, "--mask", "left", "--index", 7, "--method", "encoder")
    assert re.search(r"│ *test image 7 *│ *row 7 of x_test *│", outcome.out)


def test_the_extremes_of_infer_name_their_row(elboroom: Command, tmp_path: Path):
    source, out = tmp_path / "d.npy", tmp_path / "z.npz"
    row = planted(source, "test")
    run = brief_run(tmp_path / "run", source)
    outcome = elboroom("infer", run.path, "--out", out, "--method", "encoder")
    line = next(line for line in outcome.out.splitlines() if line.startswith("│ ELBO "))
    assert f", row {row} │" in line
    found = json.loads(str(arrays(out)["summary"]))["known"]["elbo"]
    assert found["smallest_row"] == row
    assert found["smallest"] == arrays(out)["elbo"].min()


def test_an_index_counts_rows_of_the_part(elboroom: Command, run: Path, tmp_path: Path):
    out = tmp_path / "z.npz"
    elboroom("infer", run, "--out", out, "--method", "encoder", "--part", "train", "--index", 5)
    assert arrays(out)["row"].tolist() == [Run(run).load_data().train.numbers[5]]
    refused = elboroom("complete", run, "--mask", "top", "--part", "train", "--index", 270)
    assert error(refused, 2) == [
        "--index 270 is not a row of the train part",
        "the train part has rows 0 to 269",
        "name rows within it, or another --part",
    ]


@pytest.mark.parametrize("command", ["evaluate", "gaps", "figures"])
def test_a_part_that_there_is_not_is_refused(elboroom: Command, run: Path, command: str):
    options = ["--only", "latent"] if command == "figures" else []
    what, why, _ = error(elboroom(command, run, "--part", "validation", *options), 2)
    assert what == "the data have no part validation"
    assert why == "found the parts train, test, all"


def test_rows_that_are_drawn_at_every_visit_are_drawn_once(
    elboroom: Command, digits: Path, tmp_path: Path
):
    run = brief_run(tmp_path / "run", digits, data={"binarisation": "dynamic"})
    printed = [
        json.loads(elboroom("evaluate", run.path, "--k", 5, "--part", "train", "--json").out)
        for _ in range(2)
    ]
    assert printed[0]["estimates"] == printed[1]["estimates"]
    assert printed[0]["images"] == 270
