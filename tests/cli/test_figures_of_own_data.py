"""`elboroom figures` and `report` of data that are not digits: no figure ends the others."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elboroom.figures.gallery import FIGURES, OF_ROWS
from tests.support.command import Command
from tests.support.outcomes import error

RNG = np.random.default_rng(0)
OPTIONS = ["--latents", "2", "--hidden", "8", "--epochs", "1", "--threads", "1", "--quiet"]
BINARY = ["--binarisation", "threshold"]
REAL = ["--binarisation", "none", "--likelihood", "gaussian"]


@pytest.fixture
def train(elboroom: Command, tmp_path: Path):
    """Train a run on some arrays or a folder."""

    def trained(
        source: Path | None = None, options: list[str] = BINARY, **arrays: np.ndarray
    ) -> Path:
        if source is None:
            source = tmp_path / "x.npz"
            np.savez(source, **arrays)  # type: ignore[arg-type]
        path = tmp_path / "run"
        outcome = elboroom("train", *OPTIONS, *options, "--data", source, "--out", path)
        assert outcome.code == 0, outcome.err
        return path

    return trained


def grey(rows: int) -> np.ndarray:
    return RNG.integers(0, 256, (rows, 6, 6), dtype=np.uint8)


@pytest.mark.full
def test_a_report_of_two_classes_is_written(elboroom: Command, train):
    path = train(images=grey(200), labels=RNG.integers(0, 2, 200))
    outcome = elboroom("report", path)
    assert (outcome.code, outcome.err) == (0, "")
    assert "left out" not in outcome.out
    assert (path / "figures/interpolation.png").exists()
    assert (path / "report.html").exists()


def test_classes_of_a_folder_are_paired_by_their_names(elboroom: Command, train, tmp_path: Path):
    for name in ("T-shirt", "ankle-boot"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(30):
            Image.fromarray(grey(1)[0]).save(tmp_path / "pictures" / name / f"{i:02}.png")
    path = train(tmp_path / "pictures")
    draw = ["figures", path, "--only", "interpolation", "latent"]
    assert elboroom(*draw, "--pairs", "T-shirt-ankle-boot", "ankle-boot-T-shirt").code == 0
    svg = (path / "figures/interpolation.svg").read_text()
    assert "<!-- T-shirt → ankle-boot -->" in svg
    assert "<!-- ankle-boot -->" in (path / "figures/latent.svg").read_text()
    assert error(elboroom(*draw, "--pairs", "T-shirt-boot"), 2)[:2] == [
        "no test image has class T",
        "the classes are T-shirt, ankle-boot",
    ]


@pytest.mark.parametrize("labels", [None, np.full(60, 9), np.arange(60), np.arange(60) % 5 + 1])
def test_labels_of_any_number_are_drawn(elboroom: Command, train, labels):
    named = {} if labels is None else {"labels": labels}
    path = train(images=grey(60), **named)
    outcome = elboroom("figures", path, "--only", "interpolation", "latent", "reconstructions")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize(("shape", "rows"), [((7,), 40), ((2, 5, 5), 40), ((4, 5, 5), 40)])
def test_events_without_a_picture_leave_their_figures_out(
    elboroom: Command, train, shape: tuple[int, ...], rows: int
):
    path = train(options=REAL, images=RNG.normal(size=(rows, *shape)).astype(np.float32))
    outcome = elboroom("figures", path)
    assert (outcome.code, outcome.err) == (0, "")
    drawn = {file.stem for file in (path / "figures").glob("*.png")}
    assert drawn == {"latent", "curves"}
    *_, left_out = outcome.out.splitlines()
    assert len(outcome.out.splitlines()) == 3
    assert left_out.startswith("left out: samples, reconstructions, interpolation, traversal, ")
    assert left_out.endswith(
        f"because rows of shape {shape} are not images (C, H, W) with C = 1 or 3"
    )
    assert error(elboroom("figures", path, "--only", "samples"), 2)[0] == (
        "the samples figure needs images"
    )


def test_figures_of_the_model_alone_are_drawn_where_the_data_are_gone(
    elboroom: Command, train, tmp_path: Path
):
    path = train(images=grey(60))
    (tmp_path / "x.npz").unlink()
    outcome = elboroom("figures", path)
    assert (outcome.code, outcome.err) == (0, "")
    drawn = {file.stem for file in (path / "figures").glob("*.png")}
    assert drawn == {*FIGURES} - {*OF_ROWS}
    assert "left out: reconstructions, latent, interpolation, contours, posteriors, completion" in (
        outcome.out
    )


@pytest.mark.parametrize("options", [["--part", "all"], ["--data"]])
def test_figures_without_rows_have_one_file_for_all_rows(
    elboroom: Command, train, tmp_path: Path, options: list[str]
):
    path = train(images=grey(60))
    np.save(tmp_path / "june.npy", grey(5))
    new = options == ["--data"]
    options = [*options, tmp_path / "june.npy"] if new else options  # type: ignore[list-item]
    outcome = elboroom("figures", path, *options, "--only", "curves", "latent")
    assert (outcome.code, outcome.err) == (0, "")
    drawn = {file.stem for file in (path / "figures").glob("*.png")}
    assert drawn == {"curves", "latent-new-june" if new else "latent-all"}


def test_real_pictures_are_stretched_with_a_bar_and_missing_pixels_tinted(elboroom: Command, train):
    x = 1013 + RNG.normal(size=(60, 6, 6)).astype(np.float32)
    x[:, 2, 3] = np.nan
    path = train(options=REAL, images=x)
    assert elboroom("figures", path, "--only", "completion", "reconstructions").code == 0
    for name in ("completion", "reconstructions"):
        svg = (path / f"figures/{name}.svg").read_text()
        assert "<!-- black and white: 1st and 99th percentile of the values shown -->" in svg
        picture = np.asarray(Image.open(path / f"figures/{name}.png").convert("RGB"))
        tint = (abs(picture.astype(int) - (0xF7, 0xD0, 0x8A)) <= 1).all(-1)
        assert tint.mean() > 0.003
        greys = picture[~tint & (np.ptp(picture, axis=-1) == 0)]
        assert len(np.unique(greys)) > 100
