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
    (folder / "about.txt").write_text("holidays")
    return folder


@pytest.mark.full
def test_from_the_folder_to_reconstructions(elboroom: Command, photos: Path, tmp_path: Path):
    run = tmp_path / "run"
    # 1. Sizes are counted, and the option that makes one of them is named.
    what, why, fix = error(elboroom("train", "--data", photos, "--out", run), 2)
    assert str(photos) in what
    assert "other sizes" in why
    assert "--size" in fix
    # 2. Colour pictures are not thresholded: what was made of the values is printed.
    options = ["--size", SIDE, "--threads", 1, "--out", run]
    outcome = elboroom("train", "--data", photos, *options)
    assert outcome.code == 0, outcome.err
    for words in (f"{COUNT} images", "divided by 255", "discretized-logistic", "1 .txt"):
        assert words in outcome.err, words
    assert "below" not in outcome.err
    # 3. A photograph of another size is prepared as they were.
    options = ["--image", photos / "IMG_0007.JPG", "--mask", "top", "--method", "encoder"]
    assert elboroom("complete", run, *options).code == 0
    # 4. Uniform noise takes 8 bits for each value; smooth pictures take far fewer.
    outcome = elboroom("evaluate", run, "--k", 20, "--quiet", "--json")
    assert outcome.code == 0, outcome.err
    bits = re.search(r'"bits_per_\w+": \{\s*"mean": ([\d.]+)', outcome.out)
    assert bits is not None, outcome.out[:500]
    assert float(bits[1]) < 6.5
    # 5. Reconstructions have a figure.
    assert elboroom("figures", run, "--only", "reconstructions").code == 0
    assert (run / "figures" / "reconstructions.png").is_file()
