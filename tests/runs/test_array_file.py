"""An array that grows on disk is the one that numpy reads."""

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest

from elboroom.data import source
from elboroom.errors import DiskError
from elboroom.runs.array_file import array_file
from tests.drills.faults import Disk

RGB = np.random.default_rng(0).integers(0, 256, (23, 3, 4, 5), dtype=np.uint8)
GREY = RGB[:, :1]


@pytest.fixture(autouse=True)
def some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 7 * 60)


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("images", [RGB, GREY])
@pytest.mark.parametrize("step", [1, 4, 23])
def test_rows_are_read_by_numpy_as_they_were_appended(tmp_path: Path, images: np.ndarray, step):
    path = tmp_path / "x.npy"
    with array_file(path, images.shape[1:]) as array:
        for start in range(0, len(images), step):
            array.append(images[start : start + step])
        assert array.finish() == digest(images)
        assert not path.exists()
    np.testing.assert_array_equal(np.load(path), images)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), images)
    assert names(tmp_path) == ["x.npy"]


@pytest.mark.parametrize("grey_rows", [0, 1, 7, 22])
def test_grey_rows_get_three_channels_when_a_colour_comes(tmp_path: Path, grey_rows: int):
    with array_file(tmp_path / "x.npy", (1, 4, 5)) as array:
        array.append(GREY[:grey_rows])
        array.repeat_channel(3)
        array.append(RGB[grey_rows:])
        found = array.finish()
    expected = np.concatenate([np.repeat(GREY[:grey_rows], 3, axis=1), RGB[grey_rows:]])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)
    assert found == digest(expected)


def test_what_is_cut_short_has_neither_a_name_nor_a_header(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), array_file(tmp_path / "x.npy", (3, 4, 5)) as array:
        array.append(RGB)
        (half,) = tmp_path.iterdir()
        assert half.read_bytes()[:128] == bytes(128)
        raise KeyboardInterrupt
    assert names(tmp_path) == []


@pytest.mark.parametrize("third", [True, False])
def test_two_that_write_one_file_do_not_mix(tmp_path: Path, third: bool):
    with pytest.raises(DiskError, match="another process"), array_file(tmp_path / "x", (1, 1, 1)):
        with array_file(tmp_path / "x", (3, 4, 5)) as later:
            later.append(RGB)
            later.finish()
        if third:
            (tmp_path / ".x.part").touch()
    np.testing.assert_array_equal(np.load(tmp_path / "x"), RGB)


def filled(path: Path, disk: Disk) -> None:
    with disk.mounted(), array_file(path, (1, 4, 5)) as array:
        array.append(GREY)
        array.repeat_channel(3)
        array.append(RGB)
        array.finish()


def test_a_full_disk_is_told_wherever_it_comes(tmp_path: Path):
    counted = Disk()
    filled(tmp_path / "x.npy", counted)
    (tmp_path / "x.npy").unlink()
    assert len(counted.calls) == 11
    for at, call in enumerate(counted.calls[:-1]):
        with pytest.raises(DiskError, match=r"x\.npy cannot be written.*\n.*the disk is full"):
            filled(tmp_path / "x.npy", Disk(errno.ENOSPC, at))
        assert names(tmp_path) == [], call
