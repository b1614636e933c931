"""Photographs of unlike sizes, from a folder of JPEG files to reconstructions."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.command import Command
from tests.support.outcomes import error

COUNT, SIDE = 160, 12


def photograph(number: int) -> Image.Image:
    """Paint a coloured blob on a graded ground, in a size of its own."""
    r = np.random.default_rng(number)
    height, width = r.integers(30, 60, 2)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    middle, colours = r.uniform(0.2, 0.8, 2), r.uniform(40, 220, (2, 3))
    blob = np.exp(-((y - middle[0]) ** 2 + (x - middle[1]) ** 2) / 0.05)[..., None]
    noise = r.normal(0, 4, (height, width, 3))
    pixels = blob * colours[0] + (1 - blob) * colours[1] * (0.5 + y[..., None] / 2) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        photograph(number).save(folder / f"IMG_{number:04}.JPG", quality=90)
    (folder / "Thumbs.db").write_bytes(b"litter")
    return folder


@pytest.mark.full
def test_from_the_folder_to_reconstructions(elboroom: Command, photos: Path, tmp_path: Path):
    run = tmp_path / "run"
    # 1. JPEG is named for what it is, with a line that makes PNG of one size.
    what, why, fix = error(elboroom("train", "--data", photos, "--out", run), 2)
    assert str(photos) in what
    assert "JPEG" in why + fix or ".JPG" in why
    # 2. Pictures of one size, made by the user.
    small = tmp_path / "small"
    small.mkdir()
    for file in sorted(photos.glob("*.JPG")):
        with Image.open(file) as picture:
            picture.resize((SIDE, SIDE)).save(small / f"{file.stem}.png")
    # 3. Colour pictures are not thresholded: what was made of the values is printed.
    outcome = elboroom("train", "--data", small, "--threads", 1, "--out", run)
    assert outcome.code == 0, outcome.err
    for words in (f"{COUNT} images", "divided by 255", "discretized-logistic"):
        assert words in outcome.err, words
    assert "below" not in outcome.err
    # 4. Uniform noise takes 8 bits for each value; smooth pictures take far fewer.
    outcome = elboroom("evaluate", run, "--k", 20, "--quiet", "--json")
    assert outcome.code == 0, outcome.err
    bits = re.search(r'"bits_per_\w+": \{\s*"mean": ([\d.]+)', outcome.out)
    assert bits is not None, outcome.out[:500]
    assert float(bits[1]) < 6.5
    # 5. Reconstructions have a figure.
    assert elboroom("figures", run, "--only", "reconstructions").code == 0
    assert (run / "figures" / "reconstructions.png").is_file()
