"""Saves that are cut short, and controls: writers and readers that are found out."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import corruptions
from checkpoint_cases import fresh
from elboroom import checkpoints
from elboroom.checkpoints import load, save


class PowerCutError(BaseException):
    pass


def cut_in(patch: pytest.MonkeyPatch, call: int) -> None:
    """From now on the `call`-th sync or rename is not carried out, and nothing after it."""
    left = call

    def cut(real: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise PowerCutError
            real(*arguments)

        return counted

    for name in ("fsync", "replace"):
        patch.setattr(os, name, cut(getattr(os, name)))


def survives_every_cut(folder: Path) -> bool:
    """Whether a save that is cut anywhere leaves it, or the one before it, and nothing broken."""
    model, state = fresh()
    for call in range(1, 100):
        state.step = 1
        save(folder / str(call), model, state)
        state.step = 2
        with pytest.MonkeyPatch.context() as patch:
            cut_in(patch, call)
            try:
                save(folder / str(call), model, state)
            except PowerCutError:
                pass
            else:
                return call > 9  # all of them were tried
        try:
            load(folder / str(call), *fresh())
        except UserWarning:
            return False
    raise AssertionError("a save has no end")


def test_a_save_cut_anywhere_leaves_nothing_broken(tmp_path: Path):
    assert survives_every_cut(tmp_path)


def in_place(path: Path, fill: Callable[[Path], None]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    fill(path)


def test_a_writer_that_does_not_rename_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoints, "write_folder", in_place)
    assert not survives_every_cut(tmp_path)


def volatile(run: Path) -> list[str]:
    """What a power cut after a save might undo: what was renamed unsynced, and names."""
    synced, renamed, hasty = set[int](), set[int](), list[str]()
    sync, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)
        renamed.discard(os.fstat(descriptor).st_ino)

    def replace(old: Path, new: Path) -> None:
        parts = (old, *old.rglob("*"))
        hasty.extend(part.name for part in parts if part.stat().st_ino not in synced)
        rename(old, new)
        renamed.add(new.parent.stat().st_ino)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "replace", replace)
        save(run / "checkpoints", *fresh())
    made = [] if run.stat().st_ino in synced else ["checkpoints"]
    return hasty + made + ["a name"] * len(renamed)


def test_a_saved_checkpoint_outlives_a_power_cut(tmp_path: Path):
    assert volatile(tmp_path) == []


@pytest.mark.parametrize("name", ["write_file", "write_folder"])
def test_a_writer_that_does_not_sync_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    def folder(path: Path, fill: Callable[[Path], None]) -> None:
        in_place(aside := path.with_name("aside"), fill)
        os.replace(aside, path)

    hasty = {"write_file": Path.write_bytes, "write_folder": folder}
    monkeypatch.setattr(checkpoints, name, hasty[name])
    assert volatile(tmp_path) != []


def test_every_corruption_is_told_and_the_checkpoint_before_it_is_used(tmp_path: Path):
    assert corruptions.faults(tmp_path / "checkpoints", 200, seed=0) == []


def test_a_reader_without_hashes_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoints, "_described", lambda content: {"size": len(content)})
    missed = corruptions.faults(tmp_path / "checkpoints", 200, seed=0)
    assert {name.partition(" of ")[0] for name in missed} >= {"a flipped bit"}
