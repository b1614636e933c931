"""Photographs of unlike sizes in class folders, from JPEG files to a report in two commands."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from elboroom import Run
from tests.support.command import Command
from tests.support.outcomes import error

SIDE, CLASSES = 16, ("Straßen", "meadows")
_ORIENTATION, _ON_ITS_SIDE = 0x0112, 6


def photograph(number: int) -> Image.Image:
    """Paint a blob on a ground that grows brighter downwards, in a size of its own."""
    r = np.random.default_rng(number)
    height, width = r.integers(30, 60, 2)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    middle, colours = r.uniform(0.2, 0.8, 2), r.uniform(40, 220, (2, 3))
    colours[0, number % 2] = 250  # a class has a colour
    blob = np.exp(-((y - middle[0]) ** 2 + (x - middle[1]) ** 2) / 0.05)[..., None]
    noise = r.normal(0, 4, (height, width, 3))
    pixels = blob * colours[0] + (1 - blob) * colours[1] * (0.5 + y[..., None] / 2) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def fill(folder: Path, count: int) -> Path:
    """Write photographs of two classes, every fourth on its side, one cut short, and litter."""
    for number in range(count):
        path = folder / CLASSES[number % 2] / f"IMG_{number:04}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture, exif = photograph(number), Image.Exif()
        if number % 4 == 0:
            picture = picture.transpose(Image.Transpose.ROTATE_90)
            exif[_ORIENTATION] = _ON_ITS_SIDE
        picture.save(path, quality=90, exif=exif)
    whole = (folder / CLASSES[0] / "IMG_0000.JPG").read_bytes()
    (folder / CLASSES[0] / "IMG_9999.JPG").write_bytes(whole[: len(whole) // 2])
    (folder / CLASSES[0] / "Thumbs.db").write_bytes(b"litter")
    (folder / "about.txt").write_text("holidays")
    (folder / CLASSES[1] / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(40))
    return folder


class Told(NamedTuple):
    """A run, and what its training printed."""

    run: Path
    lines: list[str]


def train(elboroom: Command, photos: Path, run: Path, *options: object) -> Told:
    asked = ["--size", SIDE, "--broken", "skip", "--threads", 1, *options]
    outcome = elboroom("train", "--data", photos, *asked, "--out", run)
    assert (outcome.code, outcome.out) == (0, "")
    return Told(run, outcome.err.splitlines())


def require_story(told: Told, photos: Path, count: int) -> None:
    """Check what training says of the photographs and of what it takes for them."""
    first = {line.partition(":")[0]: line for line in reversed(told.lines)}
    assert first["read"] == f"read: {photos.name}: {count} images of 3 × {SIDE} × {SIDE}"
    assert first["labels"] == f"labels: 2 classes: {', '.join(CLASSES)}"
    assert "for validation (drawn at random, with the shares of the classes)" in first["split"]
    assert first["likelihood"].startswith("likelihood: discretized-logistic-mixture, because")
    assert first["preset"] == f"preset: pictures, because {photos.name} holds pictures"
    assert "average of the weights is evaluated" in first["training"]
    notes = " ".join(line for line in told.lines if line.startswith("note:"))
    for words in ("1 .mp4", "1 .txt", "IMG_9999.JPG"):
        assert words in notes, notes


def require_report(elboroom: Command, run: Path) -> None:
    """Check that a report has bits per dimension, the preset's options and the figures."""
    outcome = elboroom("report", run)
    assert outcome.code == 0, outcome.err
    page = (run / "report.html").read_text("utf-8")
    for words in (
        "bits per dimension",
        "discretized-logistic-mixture",
        "conv",
        'id="reconstructions"',
    ):
        assert words in page, words


def test_two_commands_lead_to_a_report(
    elboroom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    photos = fill(tmp_path / "photos", 24)
    told = train(elboroom, photos, tmp_path / "run", "--epochs", 2, "--evaluate-every", 1)
    require_story(told, photos, 24)
    # a rotated photograph is read upright: bright at its foot, not at its side
    data = Run(told.run).load_data()
    ground = np.concatenate([data.parts[name].x.numpy() for name in data.parts])[..., [0, -1]]
    assert (ground[:, :, -4:].mean((1, 2, 3)) > ground[:, :, :4].mean((1, 2, 3))).mean() > 0.7
    monkeypatch.setattr("elboroom.cli.report.FiguresConfig", _few_figures)
    require_report(elboroom, told.run)


def _few_figures(**options: object) -> object:
    from elboroom.config import FiguresConfig

    return FiguresConfig(only=("samples", "reconstructions"), **options)  # type: ignore[arg-type]


@pytest.mark.full
def test_hundreds_of_photographs_end_above_their_marginals(elboroom: Command, tmp_path: Path):
    photos = fill(tmp_path / "photos", 300)
    # 1. Sizes are counted, and the option that makes one of them is named.
    what, why, fix = error(elboroom("train", "--data", photos, "--broken", "skip"), 2)
    assert str(photos) in what
    assert "other sizes" in why
    assert "--size" in fix
    # 2. A broken picture stops the reading unless it may be skipped.
    assert "IMG_9999.JPG" in error(elboroom("train", "--data", photos, "--size", SIDE), 2)[0]
    # 3. No warning says that the model is below its marginals.
    told = train(elboroom, photos, tmp_path / "run")
    require_story(told, photos, 300)
    assert not any("below" in line for line in told.lines)
    # 4. A photograph of another size is prepared as they were.
    picture = photos / CLASSES[1] / "IMG_0007.JPG"
    options = ["--image", picture, "--mask", "top", "--method", "encoder"]
    assert elboroom("complete", told.run, *options).code == 0
    # 5. Uniform noise takes 8 bits for each value; smooth pictures take far fewer.
    outcome = elboroom("evaluate", told.run, "--k", 20, "--quiet", "--json")
    assert outcome.code == 0, outcome.err
    bits = re.search(r'"bits_per_\w+": \{\s*"mean": ([\d.]+)', outcome.out)
    assert bits is not None, outcome.out[:500]
    assert float(bits[1]) < 5.5
    # 6. All figures are in the report.
    require_report(elboroom, told.run)
