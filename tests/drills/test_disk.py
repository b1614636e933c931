"""A disk that is full, read-only, gone or broken: the error, and what is left."""

import errno
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from elboroom import Run
from elboroom.errors import DiskError
from elboroom.runs import checkpoints
from elboroom.runs import training as run_training
from elboroom.runs.atomic import append_line, make_folder, unfinished, write_file
from elboroom.runs.autosave import Autosave
from elboroom.runs.checkpoints import capture, listing, retention
from elboroom.training.state import EpochMetrics
from tests.drills import careless, children
from tests.drills.faults import Disk, filled, small_disk
from tests.drills.kills import EVERY_STEP
from tests.drills.saves import (
    CAUSES,
    bits,
    calls,
    disks,
    fault,
    fresh,
    in_training,
    loaded,
    on_a_full_disk,
    saved,
)
from tests.support.checkpoint_cases import save
from tests.support.command import Command
from tests.support.outcomes import error, last_checkpoint, metrics

FAULTS = pytest.mark.parametrize("code", CAUSES, ids=errno.errorcode.get)


def steps(folder: Path) -> list[int]:
    found = checkpoints.check_checkpoints(folder)
    assert set(found.values()) == {None}
    return [listing.step_of(path) for path in found]


def test_saving_opens_writes_syncs_and_renames(tmp_path: Path):
    file = ["open", "write", "fsync", "replace", "fsync"]
    in_place, old_removed = ["fsync", "replace", "fsync"], ["replace"]
    expected = ["mkdir", *file, *file, *file, *in_place, *old_removed]
    assert calls(tmp_path / "checkpoints", 3) == expected


@FAULTS
@pytest.mark.parametrize("step", [2, 3])
def test_a_fault_anywhere_in_a_save_leaves_the_checkpoints_before_it(
    tmp_path: Path, code: int, step: int
):
    """Save a new step, and one that is saved again."""
    folder = tmp_path / "checkpoints"
    assert {fault(folder, disk, step) for disk in disks(folder, step, code)} == {None}


@FAULTS
def test_an_old_checkpoint_that_cannot_be_removed_stays_and_the_new_one_is_saved(
    tmp_path: Path, code: int
):
    folder = tmp_path / "checkpoints"
    disk = Disk(code, len(calls(folder, 3)) - 1)
    warning = f"^{saved(folder)}/step-000001 is not needed any more but stays: {CAUSES[code]}"
    with disk.mounted(), pytest.warns(UserWarning, match=warning):
        save(folder, *fresh(3))
    assert steps(folder) == [3, 2, 1]
    assert loaded(folder) == (3, bits(fresh(3)[0]))
    save(folder, *fresh(4))
    assert steps(folder) == [4, 3]


def test_the_best_and_the_newest_are_both_saved_where_old_ones_cannot_be_removed(
    run: Path, monkeypatch: pytest.MonkeyPatch
):
    opened = Run(run)
    model, state = opened.load_training(opened.load_data())
    autosave = Autosave(opened, model, state)
    for state.step, elbo in ((18, -1.0), (24, -2.0)):
        state.history.append(replace(run_metrics(state.step // 6), held_out_elbo=elbo))
        autosave.on_epoch(state)
    monkeypatch.setattr(retention, "remove_folder", refuse)
    with pytest.warns(
        UserWarning, match="step-000012 is not needed any more but stays: it is busy"
    ):
        autosave.save(state)
    assert steps(run / "checkpoints") == [24, 18, 12]
    assert checkpoints.load(run / "checkpoints", model, best=True) == 18


def refuse(path: Path) -> None:
    raise DiskError(f"{path} cannot be written", why="it is busy", fix="wait")


@pytest.mark.parametrize("step", [2, 3])
@pytest.mark.parametrize("at", [2, 5, 8])  # each write
def test_a_writer_in_place_does_not_survive_the_same_faults(tmp_path: Path, step: int, at: int):
    with careless.in_place():
        found = fault(tmp_path / "checkpoints", Disk(errno.ENOSPC, at), step)
    assert found is not None
    assert "is not whole" in found


@FAULTS
def test_a_fault_in_appending_a_line_leaves_the_lines_before_it(tmp_path: Path, code: int):
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    for at, call in enumerate(["open", "write", "fsync"]):
        with Disk(code, at).mounted() as disk, pytest.raises(DiskError) as failure:
            append_line(path, "two" * 100)
        assert disk.calls[at] == call
        assert failure.value.why.startswith(CAUSES[code])
        assert path.read_bytes() == b"one\n"
    append_line(path, "two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_line_that_is_not_taken_back_would_be_seen(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(
        "tests.drills.faults._File.truncate", lambda file, size: size, raising=False
    )
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    with Disk(errno.ENOSPC, 1).mounted(), pytest.raises(DiskError):
        append_line(path, "two")
    assert path.read_bytes() != b"one\n"


def test_an_error_names_what_why_and_the_fix(tmp_path: Path):
    path = tmp_path / "a"
    with Disk(errno.ENOSPC, 1).mounted(), pytest.raises(DiskError) as failure:
        write_file(path, b"content")
    assert str(failure.value) == (
        f"{path} cannot be written\n"
        "  why: the disk is full: [Errno 28] No space left on device\n"
        "  fix: free some space, or write elsewhere"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(tmp_path: Path):
    with (
        Disk(errno.EROFS, 0).mounted(),
        pytest.raises(DiskError, match="the file system is read-only"),
    ):
        make_folder(tmp_path / "figures")


def run_metrics(epoch: int) -> EpochMetrics:
    return EpochMetrics(epoch, 6 * epoch, -5.0, -4.0, 1.0, -5.0, 1.0, 1e-3, None, 1e4)


def test_metrics_that_cannot_be_written_are_written_with_the_next(run: Path):
    opened = Run(run)
    before = opened.metrics.history()
    with Disk(errno.ENOSPC, 0, for_good=True).mounted():
        for epoch in (3, 4):
            with pytest.warns(UserWarning, match=r"metrics wait to be written, and training goes"):
                opened.metrics.record(run_metrics(epoch))
    assert opened.metrics.history() == before
    opened.metrics.record(run_metrics(5))
    assert opened.metrics.history() == [*before, *map(run_metrics, (3, 4, 5))]


def test_a_checkpoint_is_never_ahead_of_the_metrics(run: Path):
    opened, before = Run(run), last_checkpoint(run)
    model, state = opened.load_training(opened.load_data())
    state.step += 6
    with Disk(errno.ENOSPC, 0, for_good=True).mounted(), pytest.warns(match="metrics wait"):
        opened.metrics.record(run_metrics(3))
    with Disk(errno.ENOSPC, 0).mounted(), pytest.raises(DiskError):
        opened.write_checkpoint(capture(model, state))
    assert last_checkpoint(run) == before
    opened.write_checkpoint(capture(model, state))
    assert len(opened.metrics.history()) == 3
    assert loaded_step(run) == state.step


def loaded_step(run: Path) -> int:
    return steps(run / "checkpoints")[0]


def test_a_checkpoint_on_the_way_may_fail_and_the_last_may_not(run: Path):
    opened = Run(run)
    model, state = opened.load_training(opened.load_data())
    autosave = Autosave(opened, model, state)
    autosave._last_time = -math.inf  # as if the last checkpoint were old
    state.step += 1
    with Disk(errno.ENOSPC, 3).mounted(), pytest.warns(match="step 13") as warned:
        autosave.on_step(state)
    assert str(warned[0].message) == (
        f"step 13 could not be saved, and training goes on: {run}/checkpoints/step-000013 cannot "
        "be written: the disk is full: [Errno 28] No space left on device"
    )
    with Disk(errno.ENOSPC, 3).mounted(), pytest.raises(DiskError) as failure:
        opened.write_checkpoint(capture(model, state))
    assert failure.value.fix == (
        "free some space, or write elsewhere; "
        f"`elboroom train --resume {run}` then resumes from its checkpoint step-000012"
    )
    assert loaded_step(run) == 12


def test_a_run_that_was_moved_away_is_not_started_again(run: Path):
    opened = Run(run)
    model, state = opened.load_training(opened.load_data())
    shutil.rmtree(run)
    with pytest.raises(DiskError, match=r"why: its folder is gone: .+\n  fix: put the folder back"):
        opened.write_checkpoint(capture(model, state))
    with pytest.warns(UserWarning, match="its folder is gone"):
        opened.metrics.record(run_metrics(3))
    assert not run.exists()


@pytest.mark.filterwarnings("always:training starts from the beginning")
def test_training_whose_last_checkpoint_fails_can_be_resumed(
    elboroom: Command, small: list[str], trained: Path, tmp_path: Path
):
    run, train_model = tmp_path / "run", run_training.train
    disk = Disk(errno.ENOSPC, 0, for_good=True)

    def train_and_fill(*arguments, **options):
        state = train_model(*arguments, **options)
        patches.enter_context(disk.mounted())
        return state

    with ExitStack() as patches, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_training, "train", train_and_fill)
        outcome = elboroom("train", *small, "--quiet", "--out", run)
    what, why, fix = error(outcome, 1)
    assert what == f"{run}/checkpoints/step-000012 cannot be written"
    assert why == "the disk is full: [Errno 28] No space left on device"
    assert f"`elboroom train --resume {run}` then resumes from " in fix
    outcome = elboroom("train", "--resume", run, "--quiet")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("warning: training starts from the beginning")
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)


@pytest.mark.parametrize("name", ["evaluation", "figure", "report"])
def test_what_is_made_of_a_run_is_whole_or_as_it_was(run: Path, name: str):
    opened, figure = Run(run), Figure(figsize=(1, 1))
    evaluation = opened.results.provenance(12) | {"elbo": -1.0}
    for kind in ("png", "svg"):
        figure.savefig(BytesIO(), format=kind)  # what matplotlib itself writes is written now
    write: dict[str, Callable[[], object]] = {
        "evaluation": lambda: opened.results.write_evaluation(evaluation, {"elbo": torch.ones(9)}),
        "figure": lambda: opened.results.write_figure("dots", figure, 12),
        "report": lambda: opened.results.write_report("<html>", 12),
    }
    before = files(run)
    with (
        Disk(errno.ENOSPC, 1, for_good=True).mounted(),
        pytest.raises(DiskError, match="the disk is full"),
    ):
        write[name]()
    assert files(run) == before


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(os.name != "posix", reason="the limit is one of POSIX")
@pytest.mark.filterwarnings("always:training starts from the beginning")
def test_files_that_may_not_be_as_large_as_a_checkpoint(
    elboroom: Command, small: list[str], trained: Path, tmp_path: Path
):
    run = tmp_path / "run"
    with files_of_at_most(8192):
        outcome = elboroom("train", *small, "--quiet", "--out", run)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"error: {run}/checkpoints/step-000012 cannot be written\n" in outcome.err
    assert "  why: files may not be that large here: [Errno 27] File too large\n" in outcome.err
    assert unfinished(run) == []
    outcome = elboroom("train", "--resume", run, "--quiet")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("warning: training starts from the beginning")
    assert last_checkpoint(run) == last_checkpoint(trained)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A separate disk of 64 KiB."""
    try:
        with small_disk(tmp_path / "tiny", 64):
            yield tmp_path / "tiny"
    except PermissionError as error:
        pytest.skip(str(error))


def test_a_real_disk_that_is_full(tiny: Path):
    folder = saved(tiny / "checkpoints")
    before = loaded(folder)
    with (
        filled(tiny, 8192),
        pytest.raises(DiskError, match=r"why: the disk is full: \[Errno 28\]"),
    ):
        save(folder, *fresh(3))
    assert (loaded(folder), unfinished(tiny)) == (before, [])


def test_whatever_room_a_real_disk_has(tiny: Path):
    assert {on_a_full_disk(tiny, free) for free in range(0, 1 << 16, 4096)} == {None}


@pytest.mark.parametrize(
    "at",
    [
        *range(3, 260, 120),
        *(pytest.param(at, marks=pytest.mark.full) for at in range(33, 260, 30) if at % 120 != 3),
    ],
)
def test_training_on_a_disk_that_fails_can_be_resumed(
    small: list[str], trained: Path, tmp_path: Path, at: int
):
    code = [errno.ENOSPC, errno.EIO, errno.EROFS][at % 7 % 3]
    disk = Disk(code, at, for_good=bool(at % 2))
    options = [*small, *EVERY_STEP, "--quiet"]
    assert in_training(options, disk, trained, tmp_path) == []


@pytest.mark.parametrize("for_good", [False, True])
def test_a_training_that_hides_a_disk_that_fails_is_found(
    small: list[str], trained: Path, tmp_path: Path, for_good: bool
):
    disk, options = Disk(errno.ENOSPC, 100, for_good=for_good), [*small, *EVERY_STEP, "--quiet"]
    assert in_training(options, disk, trained, tmp_path, children.failing_silently) != []
