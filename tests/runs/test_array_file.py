"""An array that grows on disk is the one that numpy reads."""

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest

from elboroom.data import source
from elboroom.errors import DiskError
from elboroom.runs import array_file as module
from elboroom.runs.array_file import array_file
from tests.drills.faults import Disk

RGB = np.random.default_rng(0).integers(0, 256, (23, 3, 4, 5), dtype=np.uint8)
GREY = RGB[:, :1]


@pytest.fixture(autouse=True)
def some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch):
    """Read and write 7 pictures of three channels together, or 21 of one."""
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 7 * 60)
    monkeypatch.setattr(module, "_TOGETHER", 7 * 60)


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def written(path: Path, *images: np.ndarray) -> str:
    """Write pictures of perhaps unlike channels one after another; return their digest."""
    with array_file(path) as array:
        for some in images:
            for values in some:
                array.add(values)
        found = array.finish()
        assert not path.exists()
    return found


@pytest.mark.parametrize("images", [RGB, GREY, RGB[:1]])
def test_rows_are_read_by_numpy_as_they_were_added(tmp_path: Path, images: np.ndarray):
    path = tmp_path / "x.npy"
    assert written(path, images) == digest(images)
    np.testing.assert_array_equal(np.load(path), images)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), images)
    assert names(tmp_path) == ["x.npy"]


@pytest.mark.parametrize("first", [1, 7, 21, 22])
@pytest.mark.parametrize("grey_first", [True, False])
def test_grey_rows_have_three_channels_beside_a_colour(
    tmp_path: Path, first: int, grey_first: bool
):
    one, other = (GREY, RGB) if grey_first else (RGB, GREY)
    parts = one[:first], other[first:]
    expected = np.concatenate([np.broadcast_to(x, (len(x), 3, 4, 5)) for x in parts])
    assert written(tmp_path / "x.npy", *parts) == digest(expected)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)


def test_what_is_cut_short_has_neither_a_name_nor_a_header(tmp_path: Path):
    found = list[bytes]()

    def cut() -> None:
        with array_file(tmp_path / "x.npy") as array:
            for values in RGB:
                array.add(values)
            found.extend(path.read_bytes() for path in tmp_path.iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut()
    (half,) = found
    assert half == bytes(128) + RGB[:21].tobytes()
    assert names(tmp_path) == []


@pytest.mark.parametrize("third", [True, False])
def test_two_that_write_one_file_do_not_mix(tmp_path: Path, third: bool):
    def both() -> None:
        with array_file(tmp_path / "x"):
            written(tmp_path / "x", RGB)
            if third:
                (tmp_path / ".x.part").touch()

    with pytest.raises(DiskError, match="another process writes"):
        both()
    np.testing.assert_array_equal(np.load(tmp_path / "x"), RGB)


def test_a_full_disk_is_told_wherever_it_comes(tmp_path: Path):
    path, disk = tmp_path / "x.npy", Disk()
    with disk.mounted():
        written(path, GREY[:21], RGB)
    path.unlink()
    assert set(disk.calls) == {"open", "write", "fsync", "replace"}
    for at, call in enumerate(disk.calls[:-1]):  # the last is that of the folder
        failing = Disk(errno.ENOSPC, at)
        with (
            failing.mounted(),
            pytest.raises(DiskError, match=r"x\.npy cannot be written\n.*the disk is full"),
        ):
            written(path, GREY[:21], RGB)
        assert names(tmp_path) == [], call
