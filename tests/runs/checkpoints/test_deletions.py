"""Reading a run while training deletes checkpoints between their listing and their reading."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elboroom import Run
from elboroom.errors import RunError
from elboroom.runs import checkpoints
from elboroom.runs.atomic import unfinished
from elboroom.runs.checkpoints import capture, listing
from elboroom.runs.doctor.run_folder import check_run
from tests.support.checkpoint_cases import epoch, fresh, save, saved_at

Listing = Callable[[int], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of steps 2 and 3, of which 3 is the best."""
    saved_at(tmp_path / "checkpoints", -5.0, -4.0, 3.0)
    return tmp_path / "checkpoints"


def after_listings(patch: pytest.MonkeyPatch, happens: Callable[[Path], object]) -> Listing:
    """Return a function that lets something happen after each of the next listings."""
    real, left = listing.newest_first, [0]

    def listed(folder: Path) -> list[Path]:
        found = real(folder)
        if left[0]:
            left[0], rest = 0, left[0] - 1
            happens(folder)  # which lists too
            left[0] = rest
        return found

    patch.setattr(listing, "newest_first", listed)
    return lambda times: left.__setitem__(0, times)


def train_on(folder: Path) -> None:
    """Save three more steps, each better than all before: no old checkpoint stays."""
    model, state = fresh()
    last = max(int(path.name[5:]) for path in folder.glob("step-*"))
    for state.step in range(last + 1, last + 4):
        state.history = [epoch(state.step, float(state.step))]
        save(folder, model, state)


READERS: dict[str, tuple[Callable[[Path], Any], Callable[[int], Any]]] = {
    "load": (lambda f: checkpoints.load(f, fresh()[0]), lambda last: last),
    "best": (lambda f: checkpoints.load(f, fresh()[0], best=True), lambda last: last),
    "room": (lambda f: checkpoints.require_room(f, 1), lambda last: None),
    "check": (
        lambda f: {path.name: wrong for path, wrong in checkpoints.check_checkpoints(f).items()},
        lambda last: {f"step-{step:06d}": None for step in (last, last - 1)},
    ),
}


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("reader", READERS)
def test_where_all_that_were_listed_are_gone_they_are_listed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reader: str, times: int
):
    read, expected = READERS[reader]
    after_listings(monkeypatch, train_on)(times)
    assert read(folder) == expected(3 + 3 * times)


@pytest.mark.parametrize("reader", READERS)
def test_reading_is_tried_again_and_not_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reader: str
):
    after_listings(monkeypatch, train_on)(10**6)
    with pytest.raises(RunError, match="every checkpoint is deleted before it can be read"):
        READERS[reader][0](folder)


def test_a_deleted_one_is_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def remove(folder: Path) -> None:
        shutil.rmtree(folder / "step-000003", ignore_errors=True)

    after = after_listings(monkeypatch, remove)
    after(1)
    assert checkpoints.load(folder, fresh()[0]) == 2
    saved_at(folder, -5.0, -4.0, -3.0)
    after(1)
    assert checkpoints.check_checkpoints(folder) == {folder / "step-000002": None}


def test_deleted_checkpoints_are_no_best(folder: Path, monkeypatch: pytest.MonkeyPatch):
    after_listings(monkeypatch, lambda folder: shutil.rmtree(folder / "step-000003"))(1)
    assert checkpoints.best_held_out_elbo(folder, 99) == -4.0


def test_a_link_is_not_a_checkpoint(folder: Path):
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
        done = len(opened.metrics.history())
        for number in range(done + 1, done + 4):
            state.step = 6 * number
            state.history = [replace(epoch(state.step, float(number)), epoch=number)]
            opened.metrics.record(state.history[0])
            opened.write_checkpoint(capture(model, state))

    after = after_listings(monkeypatch, train_on)
    after(times)
    assert not Run(run).results.is_current("evaluation.json", 0)
    for best in (False, True):
        after(times)
        Run(run).load_model(best=best)
    after(times)
    assert [finding for finding in check_run(run) if finding.damage] == []


def test_unfinished_files_are_found_while_folders_are_deleted(
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
    assert unfinished(tmp_path) == [tmp_path / ".c.part"]
