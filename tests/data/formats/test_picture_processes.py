"""Processes read the pictures that threads read, and leave nothing behind, whatever ends them."""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from elboroom import DataConfig, load_data
from elboroom.cli.pack import pack
from elboroom.cli.signals import SIGNALS, Interrupted
from elboroom.config import PackConfig
from elboroom.data.formats import picture_set
from elboroom.data.formats.parallel import workers
from elboroom.data.formats.picture_changes import Changes
from elboroom.data.formats.picture_process import PictureProcess
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.picture_set import PictureSet, open_pictures
from elboroom.data.formats.pictures import Recipe
from tests.support.command import Command
from tests.support.outcomes import error

SHAPES = [(9, 14), (14, 9), (8, 8), (40, 30), (1, 1)]
RECIPES = [
    Recipe(None, "centre", "auto", (255, 255, 255)),
    Recipe((6, 8), "pad", "auto", (10, 20, 30)),
    Recipe((300, 200), "none", "grey", (255, 255, 255)),
]


def noise(number: int, *shape: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures that are turned, transparent, of 16 bits, animated, misnamed or broken."""
    folder = tmp_path / "photos"
    for part in ("train/a", "train/ß 日本", "test/a"):
        (folder / part).mkdir(parents=True)
        for number, shape in enumerate(SHAPES):
            turned = Image.Exif()
            turned[0x0112] = number
            noise(number, *shape, 3).save(folder / part / f"{number}.jpg", exif=turned)
        noise(5, 9, 9, 4).save(folder / part / "clear.png")
        wide = np.arange(0, 90_000, 1_000, dtype=np.uint32).clip(0, 65_535).astype(np.uint16)
        Image.fromarray(wide.reshape(9, 10)).save(folder / part / "wide.png")
        noise(6, 7, 7).save(
            folder / part / "two.gif", save_all=True, append_images=[noise(7, 7, 7)]
        )
        noise(8, 5, 6).save(folder / part / "not.jpg", "PNG")
        (folder / part / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / part / os.fsdecode(b"\xff.bmp")).write_bytes(b"BM")
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[PictureProcess]]:
    """Few pictures are read by processes too; all that are started are ended."""
    made, begin = list[PictureProcess](), PictureProcess.__init__

    def noted(self: PictureProcess, folder: Path) -> None:
        begin(self, folder)
        made.append(self)

    monkeypatch.setattr(PictureProcess, "__init__", noted)
    monkeypatch.setattr(picture_set, "_FEWEST", 1)
    yield made
    assert all(process._process.poll() is not None for process in made)


def rows(pictures: PictureSet, recipe: Recipe) -> list[PictureRow]:
    return [row for part in pictures.layout.parts for row in pictures.read(part, recipe)]


def test_they_read_what_threads_read(photos: Path, started: list[PictureProcess]):
    with open_pictures(photos, 1.0) as pictures:
        by_processes = [rows(pictures, recipe) for recipe in RECIPES]
        pictures.__dict__["_ready"] = None
        by_threads = [rows(pictures, recipe) for recipe in RECIPES]
    assert started
    for found, expected in zip(by_processes, by_threads, strict=True):
        assert len(found) == 33
        assert {row.misnamed for row in found} == {"", "PNG"}
        for row, other in zip(found, expected, strict=True):
            assert (row.name, row.why, row.misnamed) == (other.name, other.why, other.misnamed)
            assert (row.prepared is None) == (other.prepared is None) == bool(row.why)
            if row.prepared is not None and other.prepared is not None:
                mine, theirs = dict(vars(row.prepared)), dict(vars(other.prepared))
                np.testing.assert_array_equal(mine.pop("values"), theirs.pop("values"))
                assert mine == theirs


def results(elboroom: Command, photos: Path) -> list[object]:
    """What is told of some pictures, and the files and the data that are made of them."""
    out = photos.parent / "out.npy"
    stopped = elboroom("pack", photos, out, "--size", "8")
    packed = elboroom("pack", photos, out, "--size", "8", "--broken", "skip")
    array = out.read_bytes()
    for file in photos.parent.glob("out.*"):
        file.unlink()
    data = load_data(DataConfig(str(photos), size="8", broken="skip"))
    return [stopped, packed, array, data.identity, data.reading]


def test_errors_notes_and_arrays_are_those_of_threads(
    elboroom: Command, photos: Path, request: pytest.FixtureRequest
):
    by_threads = results(elboroom, photos)
    started = request.getfixturevalue("started")
    assert results(elboroom, photos) == by_threads
    assert len(started) == 3 * workers()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_is_killed_is_told(
    elboroom: Command,
    photos: Path,
    started: list[PictureProcess],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
):
    read = PictureProcess.read

    def killed(self: PictureProcess, *arguments: Any) -> list[PictureRow]:
        os.kill(self._process.pid, number)
        return read(self, *arguments)

    monkeypatch.setattr(PictureProcess, "read", killed)
    what, why, _ = error(elboroom("pack", photos, photos.parent / "out.npy", "--size", "8"), 2)
    assert what == f"cannot read the pictures of {photos}"
    expected = f"a process that decodes them was ended by signal {number:d}, at one of test/a/"
    assert why.startswith(expected.replace("test/a", "train/a"))
    assert os.listdir(photos.parent) == ["photos"]
    assert started


def test_an_interruption_ends_them(
    photos: Path, started: list[PictureProcess], monkeypatch: pytest.MonkeyPatch
):
    config = PackConfig(source=str(photos), out=photos.parent / "out.npy", size="8", broken="skip")

    def interrupted(self: Changes, row: PictureRow) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(Changes, "_count", interrupted)
    with pytest.raises(Interrupted):
        pack(config, quiet=True)
    assert os.listdir(photos.parent) == ["photos"]
    assert started


def test_one_is_deaf_to_signals_and_ends_with_its_pipe(photos: Path):
    """A terminal and a batch system send signals to both: the one that started it answers."""
    process = PictureProcess(photos / "train" / "a")
    process.require_ready()
    for number in SIGNALS:
        os.kill(process._process.pid, number)
    (row,) = process.read(["1.jpg"], RECIPES[0])
    assert row.prepared is not None
    assert row.prepared.values.shape == (3, *SHAPES[1])
    process._into.close()
    assert process._process.wait(5) == 0
    process.end()


@pytest.mark.parametrize("program", ["/nowhere", "/bin/false", "/bin/echo"])
def test_without_them_threads_read(
    elboroom: Command, photos: Path, request: pytest.FixtureRequest, program: str
):
    by_threads = results(elboroom, photos)
    monkeypatch = request.getfixturevalue("monkeypatch")
    request.getfixturevalue("started")
    monkeypatch.setattr(sys, "executable", program)
    assert results(elboroom, photos) == by_threads


@pytest.mark.skipif(sys.platform != "linux", reason="bounds the memory of another process")
def test_the_end_of_memory_is_told_as_in_threads(tmp_path: Path):
    Image.new("L", (5_000, 5_000)).save(tmp_path / "x.bmp")
    process = PictureProcess(tmp_path)
    process.require_ready()
    pages = int(Path(f"/proc/{process._process.pid}/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + (8 << 20)
    resource.prlimit(process._process.pid, resource.RLIMIT_AS, (size, size))
    with pytest.raises(MemoryError, match=r"^there is not enough to decode one of x\.bmp$"):
        process.read(["x.bmp"], RECIPES[1])
    process.end()
