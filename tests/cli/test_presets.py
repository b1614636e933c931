"""The preset that data take where none is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elboroom import DataConfig
from elboroom.cli.presets import default_preset
from tests.support.command import Command


def folder(path: Path) -> Path:
    (path / "p").mkdir()
    for n in range(3):
        Image.new("L", (4, 4), 9 * n).save(path / "p" / f"{n}.png")
    return path / "p"


def array(path: Path) -> Path:
    np.save(path / "a.npy", np.zeros((3, 1, 4, 4), np.uint8))
    return path / "a.npy"


def packed(path: Path, elboroom: Command) -> Path:
    assert elboroom("pack", folder(path), path / "packed.npy", "--quiet").code == 0
    return path / "packed.npy"


def table(path: Path, column: object) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"x": column, "n": [0.5, 1.5]}), path / "t.parquet")
    return path / "t.parquet"


MADE: dict[str, tuple[Callable[[Path, Command], object], str]] = {
    "mnist": (lambda path, run: "mnist", "reference"),
    "folder": (lambda path, run: folder(path), "pictures"),
    "array": (lambda path, run: array(path), "own"),
    "packed": (packed, "pictures"),
    "table of pictures": (lambda path, run: table(path, [b"\x89PNG", b"\x89PNG"]), "pictures"),
    "table of numbers": (lambda path, run: table(path, [1.0, 2.0]), "own"),
    "nothing": (lambda path, run: path / "absent", "own"),
}


@pytest.mark.parametrize("name", MADE)
def test_the_preset_follows_from_the_data(name: str, elboroom: Command, tmp_path: Path):
    make, expected = MADE[name]
    assert default_preset(DataConfig(source=str(make(tmp_path, elboroom))))[0] == expected


def test_a_table_whose_pictures_are_left_out_is_one_of_numbers(tmp_path: Path):
    path = str(table(tmp_path, [b"\x89PNG", b"\x89PNG"]))
    assert default_preset(DataConfig(source=path, unused=("x",)))[0] == "own"


def test_archives_hold_pictures(tmp_path: Path):
    pictures = folder(tmp_path)
    for form in ("zip", "tar"):
        made = shutil.make_archive(str(tmp_path / "packed"), form, pictures)
        assert default_preset(DataConfig(source=made))[0] == "pictures"
