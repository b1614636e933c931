"""A packed array is the folder of pictures that it was made of, and appears whole or not at all."""

import errno
import json
import os
import shutil
import tracemalloc
from collections import namedtuple
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from elboroom import DataConfig, Dataset, load_data
from elboroom.cli import pack as pack_command
from elboroom.cli.picture import load_picture
from elboroom.cli.signals import Interrupted
from elboroom.config import PackConfig
from elboroom.data import load_new, source
from elboroom.data.formats import gathered
from elboroom.data.formats.packed import as_packed
from elboroom.data.formats.packed_rows import read_rows, rows_file
from elboroom.runs import array_file, atomic
from tests.drills import children
from tests.drills.faults import Disk
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error

KINDS = ("jpg", "png", "webp")


def picture(seed: int, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)


def folder(path: Path, names: dict[str, int], mode: str = "RGB") -> Path:
    """Pictures of several sizes and kinds: so many in each of some folders."""
    for place, (name, count) in enumerate(names.items()):
        (path / name).mkdir(parents=True)
        for number in range(count):
            size = (20 + 3 * number, 33 - 2 * place)
            shown = picture(10 * place + number, size, mode)
            shown.save(path / name / f"{number}.{KINDS[number % len(KINDS)]}")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    names = {"train/cat": 9, "train/ß": 4, "val/ß": 3, "test/cat": 2, "test/ß": 3}
    made = folder(tmp_path / "photos", names)
    (made / "readme.txt").write_text("of 2026")
    return made


def same(packed: Dataset, read: Dataset) -> None:
    assert packed.identity.sha256 == read.identity.sha256
    assert packed.parts.keys() == read.parts.keys()
    for name, part in packed.parts.items():
        other = read.parts[name]
        np.testing.assert_array_equal(part.x, other.x)
        np.testing.assert_array_equal(part.numbers, other.numbers)
        assert (part.files, part.classes) == (other.files, other.classes)
        assert (part.labels is None) == (other.labels is None)
        if part.labels is not None:
            np.testing.assert_array_equal(part.labels, other.labels)


@pytest.mark.parametrize("memory", [2.0, 0.0])
@pytest.mark.parametrize(
    "options",
    [
        {"size": "8"},
        {"size": "6x9", "crop": "pad", "background": "#204060"},
        {"size": "8", "colour": "grey", "crop": "none"},
    ],
)
def test_it_trains_as_the_folder_does(
    elboroom: Command, photos: Path, tmp_path: Path, options: dict[str, Any], memory: float
):
    out = tmp_path / "out.npy"
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    outcome = elboroom("pack", photos, out, *words)
    assert (outcome.code, outcome.err) == (0, "")
    read = load_data(DataConfig(str(photos), **options))
    assert read.reading is not None
    same(load_data(DataConfig(str(out), memory=memory)), read)
    shape = " × ".join(map(str, read.event_shape))
    assert outcome.out == (
        "".join(f"note: {note}\n" for note in read.reading.notes)
        + f"packed 21 images of {shape} (13 train, 3 validation, 5 test), 2 classes\n{out}\n"
    )
    assert any(".txt" in note for note in read.reading.notes)
    with np.load(rows_file(out)) as rows:
        recipe = json.loads(str(rows["recipe"]))
    assert recipe["source"] == str(photos)
    assert {name: recipe[name] for name in options} == options


def test_new_pictures_for_its_run_are_prepared_as_those_that_were_packed(
    photos: Path, tmp_path: Path
):
    out, more = tmp_path / "out.npy", folder(tmp_path / "more", {"": 4})
    options = {"size": "6x9", "crop": "pad", "background": "#204060"}
    pack_command.pack(PackConfig(source=str(photos), out=out, **options), quiet=True)
    run = brief_run(tmp_path / "run", out)
    read = load_data(DataConfig(str(more), **options)).part("all")
    found = run.data.choose_part(None, str(more)).rows
    np.testing.assert_array_equal(found.x, read.x)
    assert found.files == read.files
    one, _ = load_picture(run, more / "2.webp")
    np.testing.assert_array_equal(one, read.x[2:3])


def test_the_folder_of_a_run_and_its_packed_array_are_the_same_data(photos: Path, tmp_path: Path):
    out = tmp_path / "out.npy"
    pack_command.pack(config(photos, out), quiet=True)
    of_folder, of_array = DataConfig(str(photos), size="8"), DataConfig(str(out))
    data = load_data(of_folder)
    for path, options in ((out, of_folder), (photos, as_packed(of_array))):
        same(load_new(str(path), options, data.identity, data.event_shape), data)


def test_an_archive_is_packed_too(elboroom: Command, photos: Path, tmp_path: Path):
    with ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in photos.rglob("*.*"):
            archive.write(path, path.relative_to(photos))
    for name in ("photos", "photos.zip"):
        made = elboroom("pack", tmp_path / name, tmp_path / f"{name}.npy", "--size", "8")
        assert made.code == 0
    assert (tmp_path / "photos.npy").read_bytes() == (tmp_path / "photos.zip.npy").read_bytes()


def test_a_table_of_pictures_is_packed_too(elboroom: Command, photos: Path, tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    names = sorted(photos.glob("train/cat/*"))
    rows = [{"bytes": name.read_bytes(), "path": name.name} for name in names]
    table = pa.table({"image": rows, "label": ["a", "b", "c"] * 3, "caption": ["x"] * 9})
    parquet.write_table(table, tmp_path / "t.parquet")
    out = tmp_path / "out.npy"
    outcome = elboroom("pack", tmp_path / "t.parquet", out, "--size", "8", "--unused", "caption")
    assert outcome.out.startswith("note: left out the columns caption\npacked 9 images of 3 × 8")
    same(
        load_data(DataConfig(str(out))),
        load_data(DataConfig(str(tmp_path / "t.parquet"), size="8")),
    )


def test_a_folder_has_no_columns_to_leave_out(elboroom: Command, photos: Path, tmp_path: Path):
    outcome = elboroom("pack", photos, tmp_path / "o.npy", "--size", "8", "--unused", "caption")
    assert error(outcome, 2)[0] == "photos has no array caption to leave unused"


@pytest.mark.parametrize("colours", [(), (0,), (8,), (2, 5)])
def test_grey_pictures_have_one_channel_unless_one_has_colours(
    elboroom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: tuple[int, ...]
):
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 3 * 16)
    monkeypatch.setattr(array_file, "_TOGETHER", 3 * 16)
    photos = folder(tmp_path / "photos", {"": 9}, mode="L")
    for number in colours:
        picture(number, (20, 20)).save(photos / f"{number}.png")
    out = tmp_path / "out.npy"
    assert elboroom("pack", photos, out, "--size", "4").code == 0
    assert np.load(out).shape[1:] == (3 if colours else 1, 4, 4)
    same(load_data(DataConfig(str(out))), load_data(DataConfig(str(photos), size="4")))


def test_a_broken_picture_stops_it_or_is_left_out(elboroom: Command, photos: Path, tmp_path: Path):
    broken = photos / "train" / "cat" / "3.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    out = tmp_path / "out.npy"
    assert error(elboroom("pack", photos, out, "--size", "8"), 2)[0] == (
        f"cannot read the picture {broken}"
    )
    assert sorted(os.listdir(tmp_path)) == ["photos"]
    outcome = elboroom("pack", photos, out, "--size", "8", "--broken", "skip")
    assert "1 picture left out, which cannot be read: train/cat/3.jpg" in outcome.out
    read = load_data(DataConfig(str(photos), size="8", broken="skip"))
    same(load_data(DataConfig(str(out))), read)
    assert len(read.train) == 12


def test_pictures_of_several_sizes_need_a_size(elboroom: Command, photos: Path, tmp_path: Path):
    what, _, fix = error(elboroom("pack", photos, tmp_path / "out.npy"), 2)
    assert what == f"the pictures in {photos} have different sizes"
    assert "--size" in fix
    assert sorted(os.listdir(tmp_path)) == ["photos"]


def test_dark_pictures_of_16_bits_are_not_made_black(elboroom: Command, tmp_path: Path):
    (tmp_path / "dark").mkdir()
    levels = np.arange(16, dtype=np.uint16).reshape(4, 4) * 200
    Image.fromarray(levels).save(tmp_path / "dark" / "x.png")
    what, *_ = error(elboroom("pack", tmp_path / "dark", tmp_path / "out.npy"), 2)
    assert what == f"the scale of the pictures in {tmp_path}/dark is in doubt"
    assert os.listdir(tmp_path) == ["dark"]


@pytest.mark.parametrize("name", ["out.npy", "out.rows.npz"])
def test_no_file_is_written_over(elboroom: Command, photos: Path, tmp_path: Path, name: str):
    (tmp_path / name).write_text("mine")
    outcome = elboroom("pack", photos, tmp_path / "out.npy", "--size", "8")
    assert error(outcome, 1)[0] == f"{tmp_path / name} is in the way"
    assert (tmp_path / name).read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == sorted(["photos", name])


def test_arrays_are_not_packed(elboroom: Command, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.zeros((3, 4, 4)))
    what, _, fix = error(elboroom("pack", tmp_path / "x.npy", tmp_path / "out.npy"), 2)
    assert what == f"{tmp_path}/x.npy holds no pictures"
    assert fix == f"train on it as it is: elboroom train --data {tmp_path}/x.npy"


@pytest.mark.parametrize(
    ("mode", "colours", "size"), [("RGB", 0, 3 * 9), ("L", 0, 9), ("L", 1, 8 * 2 + 3)]
)
def test_room_on_the_disk_is_asked_for_first(
    elboroom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode, colours, size
):
    """If the last picture has colours, eight that are written take three times as much."""
    photos = folder(tmp_path / "photos", {"": 9}, mode)
    for _ in range(colours):
        picture(0, (9, 9)).save(photos / "8.webp")
    usage = namedtuple("usage", "free")
    for free, code in ((16 * size, 0), (16 * size - 1, 1)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage(free))
        outcome = elboroom("pack", photos, tmp_path / f"{code}.npy", "--size", "4")
        assert outcome.code == code
    assert error(outcome, 1)[0] == f"{tmp_path / '1.npy'} cannot be written"
    assert not list(tmp_path.glob("*1.*"))


def config(photos: Path, out: Path) -> PackConfig:
    return PackConfig(source=str(photos), out=out, size="8")


def test_a_fault_of_the_disk_leaves_nothing(photos: Path, tmp_path: Path):
    out, disk = tmp_path / "out.npy", Disk()
    with disk.mounted():
        pack_command.pack(config(photos, out), quiet=True)
    last = len(disk.calls) - 1  # the sync of the folder, after both files have their names
    for path in (out, rows_file(out)):
        path.unlink()
    for at in range(last):
        with Disk(errno.ENOSPC, at).mounted(), pytest.raises(Exception, match="the disk is full"):
            pack_command.pack(config(photos, out), quiet=True)
        assert os.listdir(tmp_path) == ["photos"], disk.calls[at]


def test_ctrl_c_leaves_nothing(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, seen = gathered.Changes._count, []

    def interrupted(self: Any, row: Any) -> None:
        seen.append(os.listdir(tmp_path))
        if len(seen) == 15:
            raise Interrupted(2)
        real(self, row)

    monkeypatch.setattr(gathered.Changes, "_count", interrupted)
    with pytest.raises(Interrupted):
        pack_command.pack(config(photos, tmp_path / "out.npy"), quiet=True)
    assert set(seen[-1]) == {"photos", ".out.npy.part"}
    assert os.listdir(tmp_path) == ["photos"]


def as_at_a_kill(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let the system call number `at` end all, with no chance to clean up."""
    left = at

    def deadly(real: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise MemoryError
            return real(*arguments)

        return counted

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, deadly(getattr(os, name)))
    monkeypatch.setattr(atomic, "_delete_if_possible", lambda path: None)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok: None)


def test_a_kill_at_any_call_leaves_no_array_without_its_rows(photos: Path, tmp_path: Path):
    out, whole, at = tmp_path / "out.npy", False, 0
    while not whole:
        at += 1
        with pytest.MonkeyPatch.context() as patch:
            as_at_a_kill(patch, at)
            with pytest.raises(MemoryError):
                pack_command.pack(config(photos, out), quiet=True)
        whole = out.exists()
        assert rows_file(out).exists() == (at > 2)
        rows_file(out).unlink(missing_ok=not whole)
    assert at == 6
    assert len(np.load(out)) == 21


@pytest.mark.full
def test_a_kill_leaves_no_array_without_its_rows(photos: Path, tmp_path: Path):
    out, log = tmp_path / "out.npy", tmp_path / "log"
    whole, call = False, 0
    while not whole:
        call += 1
        words = ["pack", str(photos), str(out), "--size", "8", "--quiet"]
        child = children.start(children.dying, log, words, call, False, False)
        killed = children.end(child) == -9
        assert killed or call == 7
        if out.exists():
            assert len(read_rows(out, len(np.load(out)))) == 21
        whole = out.exists()
        if not whole:
            rows_file(out).unlink(missing_ok=True)
    assert call > 4
    same(load_data(DataConfig(str(out))), load_data(DataConfig(str(photos), size="8")))


def test_memory_does_not_grow_with_the_number_of_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 1 << 15)
    (tmp_path / "photos").mkdir()
    shown = picture(0, (64, 64))
    peaks = []
    for count in (40, 120):
        for number in range(count):
            shown.save(tmp_path / "photos" / f"{number}.bmp")
        tracemalloc.start()
        pack_command.pack(
            PackConfig(source=str(tmp_path / "photos"), out=tmp_path / f"{count}.npy"), quiet=True
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 80 * 64 * 64 * 3 / 2
    assert np.load(tmp_path / "120.npy").nbytes > peaks[1]
