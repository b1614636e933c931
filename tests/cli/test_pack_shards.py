"""Pictures packed into shards are the folder that they were made of, and appear whole or not."""

import errno
import hashlib
import os
import shutil
import tracemalloc
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom import DataConfig, load_data
from elboroom.cli import pack as pack_command
from elboroom.cli.picture import load_picture
from elboroom.cli.signals import Interrupted
from elboroom.config import PackConfig
from elboroom.data import load_new, source
from elboroom.data.formats import gathered
from elboroom.data.formats.packed import as_packed
from elboroom.data.formats.registry import holds_pictures
from elboroom.errors import DataError
from elboroom.runs import array_file
from tests.cli.test_pack import folder, picture
from tests.drills.faults import Disk
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    names = {"train/cat": 9, "train/ß": 4, "val/ß": 3, "test/cat": 2, "test/ß": 3}
    return folder(tmp_path / "photos", names)


def packed(photos: Path, out: Path, rows: int = 5, size: str = "8") -> Path:
    config = PackConfig(source=str(photos), out=out, size=size, shard_rows=rows)
    pack_command.pack(config, quiet=True)
    return out


@pytest.mark.parametrize("memory", [2.0, 0.0])
@pytest.mark.parametrize("rows", [1, 5, 21, 99])
def test_it_trains_as_the_folder_does(
    elboroom: Command, photos: Path, tmp_path: Path, rows: int, memory: float
):
    out = tmp_path / "out"
    outcome = elboroom("pack", photos, out, "--size", "8", "--shard-rows", str(rows))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith(
        f"packed 21 images of 3 × 8 × 8 (13 train, 3 validation, 5 test), 2 classes\n{out}\n"
    )
    count = -(-21 // rows)
    names = [f"{number:05}.npy" for number in range(count)]
    assert sorted(os.listdir(out)) == [*names, "rows.npz"]
    arrays = [np.load(out / name) for name in names]
    assert [len(array) for array in arrays] == [rows] * (count - 1) + [21 - rows * (count - 1)]
    read = load_data(DataConfig(str(photos), size="8"))
    data = load_data(DataConfig(str(out), memory=memory))
    assert data.train.on_disk == (memory == 0)
    for name, part in data.parts.items():
        other = read.parts[name]
        np.testing.assert_array_equal(part.x, other.x)
        np.testing.assert_array_equal(part.numbers, other.numbers)
        np.testing.assert_array_equal(part.labels, other.labels)
        assert (part.files, part.classes) == (other.files, other.classes)
    digests = [hashlib.sha256(array.tobytes()).digest() for array in arrays]
    assert data.identity.sha256 == hashlib.sha256(b"".join(digests)).hexdigest()
    with np.load(out / "rows.npz") as held:
        assert held["shard_sha256"].tolist() == [digest.hex() for digest in digests]


@pytest.mark.parametrize("colours", [(), (0,), (8,), (2, 5)])
def test_all_shards_have_the_channels_of_the_one_with_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: tuple[int, ...]
):
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 3 * 16)
    monkeypatch.setattr(array_file, "_TOGETHER", 2 * 16)
    photos = folder(tmp_path / "photos", {"": 9}, mode="L")
    for number in colours:
        picture(number, (20, 20)).save(photos / f"{number}.png")
    out = packed(photos, tmp_path / "out", rows=2, size="4")
    shapes = {np.load(path).shape[1:] for path in out.glob("*.npy")}
    assert shapes == {(3 if colours else 1, 4, 4)}
    read = load_data(DataConfig(str(photos), size="4"))
    np.testing.assert_array_equal(load_data(DataConfig(str(out))).part("all").x, read.part("all").x)


@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_a_shard_that_has_changed_is_named(photos: Path, tmp_path: Path, memory: float):
    out = packed(photos, tmp_path / "out")
    values = np.load(out / "00002.npy")
    values[1, 0, 3, 3] ^= 1
    np.save(out / "00002.npy", values)
    with pytest.raises(DataError, match=r"the shard .*/out/00002\.npy has changed\n  why: the SHA"):
        load_data(DataConfig(str(out), memory=memory))


def test_a_shard_that_is_gone_is_missed(photos: Path, tmp_path: Path):
    out = packed(photos, tmp_path / "out")
    (out / "00004.npy").unlink()
    with pytest.raises(DataError, match=r"rows\.npz does not hold the rows of out"):
        load_data(DataConfig(str(out)))
    (out / "rows.npz").unlink()
    assert len(load_data(DataConfig(str(out))).part("all")) == 20


def test_new_pictures_for_its_run_are_prepared_as_those_that_were_packed(
    photos: Path, tmp_path: Path
):
    out, more = packed(photos, tmp_path / "out", size="6x9"), folder(tmp_path / "more", {"": 4})
    assert holds_pictures(DataConfig(str(out)))
    run = brief_run(tmp_path / "run", out)
    read = load_data(DataConfig(str(more), size="6x9")).part("all")
    np.testing.assert_array_equal(run.data.choose_part(None, str(more)).rows.x, read.x)
    one, _ = load_picture(run, more / "2.webp")
    np.testing.assert_array_equal(one, read.x[2:3])


def test_a_folder_that_was_moved_is_the_data_of_its_run(photos: Path, tmp_path: Path):
    out = packed(photos, tmp_path / "out")
    data = load_data(DataConfig(str(out)))
    shutil.move(out, tmp_path / "moved")
    options = as_packed(DataConfig(str(tmp_path / "moved")))
    assert options.size == "8"
    moved = load_new(str(tmp_path / "moved"), options, data.identity, data.event_shape)
    data.identity.require_same(moved.identity)
    assert len(moved.test) == 5


@pytest.mark.parametrize(
    ("out", "words", "told"),
    [
        ("out.npy", ["--shard-rows", "5"], "a folder with --shard-rows, not a .npy"),
        ("out", ["--shard-rows", "0"], "1 or more"),
        ("out", [], "the path of an .npy file"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    elboroom: Command, photos: Path, tmp_path: Path, out: str, words: list[str], told: str
):
    outcome = elboroom("pack", photos, tmp_path / out, "--size", "8", *words)
    assert outcome.code == 2
    assert told in outcome.err
    assert os.listdir(tmp_path) == ["photos"]


@pytest.mark.parametrize("is_empty", [True, False])
def test_no_folder_is_written_over(photos: Path, tmp_path: Path, elboroom: Command, is_empty: bool):
    (tmp_path / "out").mkdir()
    if not is_empty:
        (tmp_path / "out" / "mine").touch()
    outcome = elboroom("pack", photos, tmp_path / "out", "--size", "8", "--shard-rows", "5")
    assert error(outcome, 1)[0] == f"{tmp_path / 'out'} is in the way"
    assert os.listdir(tmp_path / "out") == ([] if is_empty else ["mine"])


def test_room_on_the_disk_is_asked_for_first(
    elboroom: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage, size = namedtuple("usage", "free"), 21 * 3 * 64
    for free, code in ((size, 0), (size - 1, 1)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage(free))
        words = ["--size", "8", "--shard-rows", "5"]
        outcome = elboroom("pack", photos, tmp_path / f"{code}", *words)
        assert outcome.code == code
    assert error(outcome, 1)[0] == f"{tmp_path / '1'} cannot be written"
    assert sorted(os.listdir(tmp_path)) == ["0", "photos"]


def test_a_fault_of_the_disk_leaves_nothing(photos: Path, tmp_path: Path):
    out, disk = tmp_path / "out", Disk()
    with disk.mounted():
        packed(photos, out, rows=9)
    shutil.rmtree(out)
    for at in range(len(disk.calls) - 1):  # the last is the sync, after it has its name
        with Disk(errno.ENOSPC, at).mounted(), pytest.raises(Exception, match="the disk is full"):
            packed(photos, out, rows=9)
        assert os.listdir(tmp_path) == ["photos"], disk.calls[at]


def test_ctrl_c_leaves_nothing(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, seen = gathered.Changes._count, []

    def interrupted(self: Any, row: Any) -> None:
        seen.append(sorted(os.listdir(tmp_path)))
        if len(seen) == 15:
            raise Interrupted(2)
        real(self, row)

    monkeypatch.setattr(gathered.Changes, "_count", interrupted)
    with pytest.raises(Interrupted):
        packed(photos, tmp_path / "out")
    assert seen[-1] == [".out.part", "photos"]
    assert os.listdir(tmp_path) == ["photos"]


def test_memory_does_not_grow_with_the_number_of_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 1 << 15)
    (tmp_path / "photos").mkdir()
    shown, grey = picture(0, (64, 64)), picture(0, (64, 64), "L")
    peaks = []
    for count in (40, 120):
        for number in range(count):
            one = shown if number == count - 1 else grey
            one.save(tmp_path / "photos" / f"{number}.bmp")
        out = tmp_path / f"{count}"
        tracemalloc.start()
        config = PackConfig(source=str(tmp_path / "photos"), out=out, shard_rows=30)
        pack_command.pack(config, quiet=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 80 * 64 * 64 * 3 / 2
    assert sum(np.load(path).nbytes for path in out.glob("*.npy")) > peaks[1]


@pytest.mark.parametrize("memory", ["0", "2"])
def test_every_command_takes_a_run_on_shards(
    elboroom: Command, photos: Path, tmp_path: Path, memory: str
):
    out, run = packed(photos, tmp_path / "out"), tmp_path / "run"
    words = ["--hidden", "8", "--epochs", "1", "--batch-size", "5", "--preset", "own"]
    model = ["--likelihood", "gaussian", "--threads", "1", "--device", "cpu"]
    done = elboroom(
        "train", "--data", out, "--memory", memory, "--out", run, *words, *model, "--quiet"
    )
    assert done.code == 0, done.err
    assert elboroom("evaluate", run, "--k", "5").code == 0
    assert elboroom("doctor", run).code == 0
    mask = np.ones((8, 8), bool)
    mask[4:] = False
    np.save(tmp_path / "mask.npy", mask)
    filled = elboroom(
        *("complete", run, "--mask", tmp_path / "mask.npy", "--part", "all"),
        *("--out", tmp_path / "filled.npz"),
    )
    assert filled.code == 0, filled.err
    stored = np.concatenate([np.load(path) for path in sorted(out.glob("*.npy"))])
    with np.load(tmp_path / "filled.npz") as arrays:
        np.testing.assert_array_equal(arrays["mean"][..., :4, :], stored[..., :4, :])
