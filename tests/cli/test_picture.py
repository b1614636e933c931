"""`elboroom complete --image`: a picture is treated as the run's data were."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error


def dim(rows: int = 60) -> np.ndarray:
    """Draw pictures of a blob that is nowhere as bright as half of white."""
    r = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8]
    at = r.uniform(2, 6, (2, rows, 1, 1))
    return (120 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 8)).astype(np.uint8)


def made(tmp_path: Path, images: np.ndarray, **options: Any) -> Run:
    np.save(tmp_path / "x.npy", images)
    return brief_run(tmp_path / "run", tmp_path / "x.npy", **options)


def picture_of(run: Run, images: np.ndarray, path: Path) -> Path:
    """Write the first test row as a PNG."""
    Image.fromarray(images[run.load_data().test.numbers[0]]).save(path)
    return path


def numbers(outcome: str) -> dict[str, float]:
    """Return what is known of the one completion of an output in JSON."""
    row = json.loads(outcome)["completions"][0]
    names = ("name", "source", "row", "index", "file", "method")
    return {name: value for name, value in row.items() if name not in names}


@pytest.mark.parametrize(
    ("likelihood", "binarisation"),
    [
        ("discretized-logistic", "none"),
        ("continuous-bernoulli", "none"),
        ("gaussian", "none"),
        ("bernoulli", "threshold"),
    ],
)
def test_a_picture_of_a_row_has_the_result_of_the_row(
    elboroom: Command, tmp_path: Path, likelihood: str, binarisation: str
):
    images = dim() if binarisation == "none" else dim() * 2
    run = made(tmp_path, images, likelihood=likelihood, data={"binarisation": binarisation})
    picture = picture_of(run, images, tmp_path / "p.png")
    options = ["--mask", "top", "--method", "grid", "--json"]
    row = elboroom("complete", run.path, *options, "--index", 0)
    same = elboroom("complete", run.path, *options, "--image", picture)
    assert (same.code, same.err) == (0, "")
    assert numbers(same.out) == numbers(row.out)


def test_a_picture_of_black_and_white_fits_binary_data(elboroom: Command, tmp_path: Path):
    images = (dim() > 40).astype(np.uint8) * 255
    run = made(tmp_path, images)
    assert run.identity.binarisation == "none"
    options = ["--mask", "top", "--method", "grid", "--json"]
    picture = picture_of(run, images, tmp_path / "p.png")
    row = elboroom("complete", run.path, *options, "--index", 0)
    assert numbers(elboroom("complete", run.path, *options, "--image", picture).out) == numbers(
        row.out
    )
    grey = picture_of(run, dim(), tmp_path / "grey.png")
    what, why, fix = error(elboroom("complete", run.path, *options, "--image", grey), 2)
    assert what == f"{grey} does not fit the likelihood Bernoulli"
    assert why.startswith("every value must be 0 or 1, found 0.")
    assert fix == "give a picture in black and white"


@pytest.mark.parametrize("scale", [1e3, -1.0])
def test_a_picture_has_no_place_among_real_numbers(elboroom: Command, tmp_path: Path, scale: float):
    real = scale * dim().astype(np.float64)
    run = made(tmp_path, real, data_bias=False)
    picture = picture_of(run, dim(), tmp_path / "p.png")
    options = ["--mask", "top", "--image", picture]
    what, why, fix = error(elboroom("complete", run.path, *options), 2)
    assert what == f"{picture} has no values in the unit of the run's data"
    assert "real numbers outside [0, 1]" in why
    assert "--data" in fix


def test_a_picture_needs_no_data(elboroom: Command, tmp_path: Path):
    run = made(tmp_path, dim())
    picture = picture_of(run, dim(), tmp_path / "p.png")
    (tmp_path / "x.npy").unlink()
    options = ["--mask", "top", "--image", picture, "--method", "grid"]
    assert elboroom("complete", run.path, *options).code == 0


def test_a_picture_is_drawn_as_dynamic_data_are(elboroom: Command, tmp_path: Path):
    run = made(tmp_path, dim(), likelihood="bernoulli", data={"binarisation": "dynamic"})
    picture = picture_of(run, dim(), tmp_path / "p.png")
    options = ["--mask", "top", "--image", picture, "--method", "grid", "--json"]
    found = [numbers(elboroom("complete", run.path, *options).out) for _ in range(2)]
    assert found[0] == found[1]  # drawn once, from a fixed seed


def colourful(rows: int = 60) -> np.ndarray:
    """Draw pictures of three blobs, one for each channel, (N, H, W, 3)."""
    return np.stack([dim(rows), dim(rows)[::-1], 2 * dim(rows)], -1)


@pytest.mark.parametrize(
    ("mode", "of_data", "notes"),
    [
        ("L", "grey", []),
        ("RGB", "colour", []),
        ("RGB of grey", "grey", []),
        ("RGB", "grey", ["with colours that are made grey, by 0.299 R + 0.587 G + 0.114 B"]),
        ("P", "grey", ["with colours that are made grey, by 0.299 R + 0.587 G + 0.114 B"]),
        ("L", "colour", ["grey, with three channels that are made alike"]),
        ("LA", "grey", ["blended over white where not opaque"]),
        ("RGBA", "colour", ["blended over white where not opaque"]),
        ("I;16", "grey", ["of its 16 bits the upper 8 are kept"]),
    ],
)
def test_what_a_picture_loses_is_told(
    elboroom: Command, runs: dict[str, Run], tmp_path: Path, mode: str, of_data: str, notes: list
):
    picture = Image.fromarray(dim()[0] if mode[0] in "LI" or "of" in mode else colourful()[0])
    if mode == "I;16":
        picture = Image.fromarray(dim()[0].astype(np.uint16) * 257)
    elif "A" in mode:
        picture.putalpha(Image.fromarray(dim()[1]))
    else:
        picture = picture.convert(mode.split()[0])
    path = tmp_path / "p.png"
    picture.save(path)
    options = ["--mask", "top", "--image", path, "--method", "encoder", "--json"]
    outcome = elboroom("complete", runs[of_data].path, *options)
    assert (outcome.code, outcome.err.splitlines()) == (0, [f"note: {path}: {n}" for n in notes])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Runs on grey and on coloured pictures."""
    found = {}
    for name, images in (("grey", dim()), ("colour", colourful())):
        folder = tmp_path_factory.mktemp(name)
        found[name] = made(folder, images)
    return found


def test_a_picture_of_12_bits_in_16_is_refused(
    elboroom: Command, runs: dict[str, Run], tmp_path: Path
):
    Image.fromarray(dim()[0].astype(np.uint16) * 16).save(tmp_path / "p.png")
    options = ["--mask", "top", "--image", tmp_path / "p.png"]
    what, why, _ = error(elboroom("complete", runs["grey"].path, *options), 2)
    assert what == f"the scale of the pictures in {tmp_path / 'p.png'} is in doubt"
    assert "in pictures of 16 bits" in why


def test_a_picture_of_any_kind_and_size_is_prepared_as_the_pictures_of_the_run(
    elboroom: Command, tmp_path: Path
):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, pixels in enumerate(colourful(40)):
        Image.fromarray(pixels).resize((20 + number, 30)).save(photos / f"{number:02}.jpg")
    run = brief_run(tmp_path / "run", photos, data={"size": "8", "crop": "pad"})
    name = run.load_data().test.files[0]
    options = ["--mask", "top", "--method", "encoder", "--json"]
    row = elboroom("complete", run.path, *options, "--index", 0)
    same = elboroom("complete", run.path, *options, "--image", photos / name)
    assert (same.code, same.err) == (0, "")
    assert numbers(same.out) == numbers(row.out)
