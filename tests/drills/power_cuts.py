"""Saves that are cut short, and changes that a power cut after a save could undo."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elboroom.runs.checkpoints import load
from tests.support.checkpoint_cases import fresh, save


class PowerCutError(BaseException):
    pass


def cut_in(patch: pytest.MonkeyPatch, call: int) -> None:
    """Let the sync or rename number `call` fail, and every one after it."""
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
    """Return True if a save that is cut short anywhere leaves no broken checkpoint."""
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
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            load(folder / str(call), *fresh())
        if warned:
            return False
    raise AssertionError("a save has no end")


def volatile(run: Path) -> list[str]:
    """Return what a power cut after a save could undo: files renamed unsynced, and names.

    The saves are the first one, those that delete an older one, and one of the same step again.
    """
    return [lost for step in (1, 2, 3, 3) for lost in _volatile(run, step)]


def _volatile(run: Path, step: int) -> list[str]:
    synced, renamed, hasty = set[int](), set[int](), list[str]()
    sync, rename, new = os.fsync, os.replace, not (run / "checkpoints").exists()

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)
        renamed.discard(os.fstat(descriptor).st_ino)

    def replace(old: Path, path: Path) -> None:
        if not path.name.startswith("."):  # else it is being deleted
            parts = (old, *old.rglob("*"))
            hasty.extend(part.name for part in parts if part.stat().st_ino not in synced)
            renamed.add(path.parent.stat().st_ino)
        rename(old, path)

    model, state = fresh()
    state.step = step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "replace", replace)
        save(run / "checkpoints", model, state)
    made = ["checkpoints"] if new and run.stat().st_ino not in synced else []
    return hasty + made + ["a name"] * len(renamed)
