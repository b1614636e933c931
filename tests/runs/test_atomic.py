import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elboroom.errors import DiskError
from elboroom.runs import atomic
from elboroom.runs.array_file import array_file
from elboroom.runs.atomic import (
    append_line,
    as_json,
    make_folder,
    new_file,
    remove_folder,
    whole_lines,
    write_file,
    write_folder,
)
from elboroom.runs.shard_folder import shard_folder


class PowerCutError(Exception):
    pass


def cut(*_: object, **__: object) -> None:
    raise PowerCutError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_nothing_is_left_beside_it(tmp_path: Path):
    write_file(tmp_path / "a", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_a_file_is_written_over_an_old_one(tmp_path: Path):
    write_file(tmp_path / "a", b"one, long")
    write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"


def test_a_file_cut_short_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_file(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(PowerCutError):
        write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_file_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda f: (seen.append((tmp_path / "a").exists()), real(f)))
    write_file(tmp_path / "a", b"one")
    assert seen == [False, True]  # the content before the rename, the folder after it


def fill(folder: Path) -> None:
    (folder / "a").write_bytes(b"one")
    (folder / "b").write_bytes(b"two")


def test_a_folder_is_written_and_nothing_is_left_beside_it(tmp_path: Path):
    write_folder(tmp_path / "f", fill)
    assert (names(tmp_path), names(tmp_path / "f")) == (["f"], ["a", "b"])


def test_a_folder_is_made_within_folders_that_are_missing(tmp_path: Path):
    write_folder(tmp_path / "x" / "y", fill)
    assert names(tmp_path / "x") == ["y"]


def half_filled(folder: Path) -> None:
    (folder / "a").touch()
    cut()


def test_a_folder_cut_short_is_not_there(tmp_path: Path):
    with pytest.raises(PowerCutError):
        write_folder(tmp_path / "f", half_filled)
    assert not (tmp_path / "f").exists()


def test_a_folder_that_exists_is_never_replaced(tmp_path: Path):
    write_folder(tmp_path / "f", lambda folder: (folder / "old").touch())
    with pytest.raises(DiskError, match="f cannot be written"):
        write_folder(tmp_path / "f", fill)
    assert (names(tmp_path), names(tmp_path / "f")) == (["f"], ["old"])


def test_ctrl_c_after_the_rename_leaves_the_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = os.replace

    def replace(old: Path, new: Path) -> None:
        real(old, new)
        if new == tmp_path / "f":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "f", fill)
    assert (names(tmp_path), names(tmp_path / "f")) == (["f"], ["a", "b"])


def stale(folder: Path) -> None:
    (folder / "stale").touch()
    cut()


def test_what_a_cut_left_unfinished_does_not_enter_the_next_folder(tmp_path: Path):
    with pytest.raises(PowerCutError):
        write_folder(tmp_path / "f", stale)
    write_folder(tmp_path / "f", fill)
    assert (names(tmp_path), names(tmp_path / "f")) == (["f"], ["a", "b"])


def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the inodes of files and folders in the order in which they are synced."""
    real, seen = os.fsync, list[int]()
    monkeypatch.setattr(os, "fsync", lambda f: (seen.append(os.fstat(f).st_ino), real(f)))
    return seen


def test_a_folder_that_is_made_has_its_name_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = synced(monkeypatch)
    for _ in range(2):
        make_folder(tmp_path / "x" / "y", parents=True)
    assert sorted(seen) == sorted(path.stat().st_ino for path in (tmp_path, tmp_path / "x"))


def test_a_removed_folder_is_gone(tmp_path: Path):
    write_folder(tmp_path / "f", fill)
    remove_folder(tmp_path / "f")
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["unlink", "rmdir"])
def test_a_folder_half_removed_has_lost_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
):
    write_folder(tmp_path / "f", fill)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, cut)
        with pytest.raises(PowerCutError):
            remove_folder(tmp_path / "f")
    assert not (tmp_path / "f").exists()
    write_folder(tmp_path / "f", fill)
    remove_folder(tmp_path / "f")
    assert names(tmp_path) == []


def test_the_first_line_of_a_file_has_its_name_on_the_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = synced(monkeypatch)
    for _ in range(2):
        append_line(tmp_path / "a", "one")
    file, folder = (path.stat().st_ino for path in (tmp_path / "a", tmp_path))
    assert seen == [file, folder, file]


def test_lines_are_appended_in_order(tmp_path: Path):
    for line in ("one", "β"):
        append_line(tmp_path / "a", line)
    assert list(whole_lines(tmp_path / "a")) == [b"one", "β".encode()]
    assert (tmp_path / "a").read_bytes() == "one\nβ\n".encode()


def test_a_missing_file_has_no_lines(tmp_path: Path):
    assert list(whole_lines(tmp_path / "a")) == []


@given(st.integers(0, 11))
def test_a_line_cut_short_is_no_line(tmp_path_factory: pytest.TempPathFactory, kept: int):
    path = tmp_path_factory.mktemp("lines") / "a"
    path.write_bytes(b"one\ntwo\nabc\n"[:kept])
    assert list(whole_lines(path)) == [b"one", b"two", b"abc"][: kept // 4]


def test_json_has_null_for_what_is_not_finite():
    content = {"a": [1.5, math.nan, {"b": -math.inf}], "c": "∞", "d": None, "e": 3}
    text = as_json(content)
    assert json.loads(text) == {"a": [1.5, None, {"b": None}], "c": "∞", "d": None, "e": 3}
    assert "∞" in text


ON_LINUX = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc")


@pytest.fixture
def as_in_windows(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Refuse to rename what this process has open or mapped, and note the pauses."""
    replace, pauses = Path.replace, list[float]()

    def refusing(path: Path, name: Path) -> Path:
        links = (Path("/proc/self/fd") / number for number in os.listdir("/proc/self/fd"))
        held = {os.readlink(link) for link in links if os.path.lexists(link)}
        mapped = Path("/proc/self/maps").read_text()
        for one in (path, name):
            if str(one) in held or f" {one}\n" in mapped:
                raise PermissionError(13, "another process has it open", str(one))
        return replace(path, name)

    monkeypatch.setattr(atomic, "_IS_WINDOWS", True)
    monkeypatch.setattr(atomic.time, "sleep", pauses.append)
    monkeypatch.setattr(Path, "replace", refusing)
    return pauses


@ON_LINUX
def test_no_file_is_renamed_while_it_is_open(tmp_path: Path, as_in_windows: list[float]):
    write_file(tmp_path / "a", b"one")
    with new_file(tmp_path / "b") as file:
        file.write(0, b"two")
    with array_file(tmp_path / "c.npy") as array:
        array.add(np.zeros((1, 2, 2), np.uint8))
        array.finish()
    assert names(tmp_path) == ["a", "b", "c.npy"]
    assert as_in_windows == []


@ON_LINUX
def test_no_shard_is_written_again_while_it_is_mapped(tmp_path: Path, as_in_windows: list[float]):
    with shard_folder(tmp_path, rows=1) as shards:
        shards.add(np.ones((1, 2, 2), np.uint8))
        shards.add(np.ones((3, 2, 2), np.uint8))
        shards.finish()
    assert np.load(tmp_path / "00000.npy").tolist() == np.ones((1, 3, 2, 2)).tolist()
    assert as_in_windows == []


@ON_LINUX
def test_a_file_that_a_reader_has_open_is_replaced_once_it_is_closed(
    tmp_path: Path, as_in_windows: list[float], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a").write_bytes(b"one")
    reader = (tmp_path / "a").open("rb")
    monkeypatch.setattr(
        atomic.time,
        "sleep",
        lambda _: as_in_windows.append(1) or len(as_in_windows) < 3 or reader.close(),
    )
    write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert len(as_in_windows) == 3


@ON_LINUX
def test_a_file_that_stays_open_is_an_error(tmp_path: Path, as_in_windows: list[float]):
    (tmp_path / "a").write_bytes(b"one")
    with (tmp_path / "a").open("rb"), pytest.raises(DiskError, match="may not write"):
        write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert as_in_windows == list(atomic._PAUSES)
    assert names(tmp_path) == ["a"]
