"""The words of the commands: tables have rows, pictures are images."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import Command

OPTIONS = ["--hidden", 4, "--epochs", 1, "--threads", 1, "--batch-size", "auto"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a labelled table with gaps, in its own units."""
    r, path = np.random.default_rng(0), tmp_path_factory.mktemp("table")
    x = r.normal(size=(80, 5)) * [1, 5, 1e3, 0.1, 10] + [0, 50, 9, 1, -5]
    x[r.random(x.shape) < 0.1] = np.nan
    np.savez(path / "t.npz", X=x, y=r.choice(["cat", "dog"], 80))
    np.save(path / "m.npy", np.arange(5) < 3)
    return path


def of_pictures(text: str) -> list[str]:
    """Return the lines that speak of images, but for those on figures that need them."""
    lines = [line for line in text.splitlines() if not line.startswith("left out: ")]
    return [line for line in lines if any(w in line for w in ("image", "picture", "pixel"))]


def test_tables_have_rows_in_the_words_of_every_command(
    elboroom: Command, table: Path, tmp_path: Path
):
    run, mask = tmp_path / "run", ["--mask", table / "m.npy"]
    fast = ["--method", "encoder"]
    data = ["--data", table / "t.npz"]
    for command in (
        ["train", *data, *OPTIONS, "--explain"],
        ["train", *data, *OPTIONS, "--latents", 2, "--out", run],
        ["evaluate", run, "--k", 5, "--ais", 2, "--distributions", 2, "--chains", 1],
        ["complete", run, *mask, *fast],
        ["complete", run, *fast, "--out", tmp_path / "f.npz"],
        ["infer", run, *fast, "--out", tmp_path / "z.npz"],
        ["gaps", run, "--images", 2, "--k", 100, "--method"],
        ["figures", run],
        ["report", run],
    ):
        outcome = elboroom(*command)
        assert outcome.code == 0, outcome.err
        assert of_pictures(outcome.out + outcome.err) == []
    page = (run / "report.html").read_text()
    assert of_pictures(re.sub(r'"data:image/png[^"]*"', "", page)) == []
