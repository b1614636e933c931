"""Reading beside a training, which removes checkpoints between their listing and their reading."""

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elboroom import Run
from elboroom.errors import RunError
from elboroom.runs.atomic import left_aside
from elboroom.runs.checkpoints import checkpoint as checkpoints
from elboroom.runs.doctor import run_folder
from tests.support.checkpoint_cases import epoch, fresh, saved_at

Listing = Callable[[int], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of steps 2 and 3, of which 3 is the best."""
    saved_at(tmp_path / "checkpoints", -5.0, -4.0, 3.0)
    return tmp_path / "checkpoints"


def after_listings(patch: pytest.MonkeyPatch, happens: Callable[[Path], object]) -> Listing:
    """What lets something happen after each of the next so many listings."""
    real, left = checkpoints.newest_first, [0]

    def listed(folder: Path) -> list[Path]:
        found = real(folder)
        if left[0]:
            left[0], rest = 0, left[0] - 1
            happens(folder)  # which lists too
            left[0] = rest
        return found

    patch.setattr(checkpoints, "newest_first", listed)
    return lambda times: left.__setitem__(0, times)


def train_on(folder: Path) -> None:
    """Three more steps, each better than all before: none of the old checkpoints stays."""
    model, state = fresh()
    last = max(int(path.name[5:]) for path in folder.glob("step-*"))
    for state.step in range(last + 1, last + 4):
        state.history = [epoch(state.step, float(state.step))]
        checkpoints.save(folder, model, state)


LOOKS: dict[str, tuple[Callable[[Path], Any], Callable[[int], Any]]] = {
    "load": (lambda f: checkpoints.load(f, fresh()[0]), lambda last: last),
    "best": (lambda f: checkpoints.load(f, fresh()[0], best=True), lambda last: last),
    "room": (lambda f: checkpoints.require_room(f, 1), lambda last: None),
    "elbo": (lambda f: checkpoints.best_held_out_elbo(f, 99), float),
    "examine": (
        lambda f: {path.name: wrong for path, wrong in checkpoints.examine(f).items()},
        lambda last: {f"step-{step:06d}": None for step in (last, last - 1)},
    ),
    "written": (lambda f: math.isfinite(checkpoints.written(f)), lambda last: True),
}


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("look", LOOKS)
def test_where_all_that_were_listed_are_gone_they_are_listed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, look: str, times: int
):
    look_at, expected = LOOKS[look]
    after_listings(monkeypatch, train_on)(times)
    assert look_at(folder) == expected(3 + 3 * times)


@pytest.mark.parametrize("look", LOOKS)
def test_it_is_looked_so_often_and_not_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch, look: str
):
    after_listings(monkeypatch, train_on)(10**6)
    with pytest.raises(RunError, match="no checkpoint stays until it is read"):
        LOOKS[look][0](folder)


def test_one_that_is_gone_was_never_listed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def remove(folder: Path) -> None:
        shutil.rmtree(folder / "step-000003", ignore_errors=True)

    after = after_listings(monkeypatch, remove)
    after(1)
    assert checkpoints.load(folder, fresh()[0]) == 2
    saved_at(folder, -5.0, -4.0, -3.0)
    after(1)
    assert checkpoints.examine(folder) == {folder / "step-000002": None}


def test_a_link_is_no_checkpoint(folder: Path):
    (folder / "step-000008").symlink_to("step-000002")
    (folder / "step-000009").symlink_to("gone")
    assert checkpoints.load(folder, fresh()[0]) == 3


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_run_in_training_is_read_without_an_error_and_without_false_damage(
    run: Path, monkeypatch: pytest.MonkeyPatch, times: int
):
    def train_on(_: Path) -> None:
        opened = Run(run)
        model, state = opened.new_training(opened.load_data())
        done = len(opened.history())
        for number in range(done + 1, done + 4):
            state.step = 6 * number
            state.history = [replace(epoch(state.step, float(number)), epoch=number)]
            opened.record(state.history[0])
            opened.save(model, state)

    after = after_listings(monkeypatch, train_on)
    after(times)
    assert not Run(run).holds("metrics.jsonl", 0)
    for best in (False, True):
        after(times)
        Run(run).load_model(best=best)
    after(times)
    assert [finding for finding in run_folder.examine(run) if finding.damage] == []


def test_what_is_left_aside_is_looked_for_beside_folders_that_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".c.part").touch()
    real = os.scandir

    def scan(path: Any) -> Any:
        if Path(path) == tmp_path / "a":
            (tmp_path / "a").rename(tmp_path / "gone")
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert left_aside(tmp_path) == [tmp_path / ".c.part"]
