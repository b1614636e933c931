"""Saves and whole trainings on a disk that fails: the error, and what is left."""

import errno
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from elboroom import VAE, ModelConfig, TrainState
from elboroom.cli.main import main
from elboroom.errors import DiskError
from elboroom.randomness import stream
from elboroom.runs import checkpoints
from elboroom.runs.atomic import unfinished
from elboroom.training.state import new_state
from tests.drills import children
from tests.drills.faults import Disk, filled
from tests.drills.kills import damage, differences
from tests.support.checkpoint_cases import save

CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota is used up",
    errno.EFBIG: "files may not be that large here",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "you may not write there",
    errno.EIO: "the disk fails",
    errno.ESTALE: "its folder is gone",
    errno.ENAMETOOLONG: "the system refuses",
}


@cache
def fresh(step: int) -> tuple[VAE, TrainState]:
    """Return a model of its own for each step, which saving does not change."""
    model = VAE.from_config(ModelConfig(hidden=(3,)), (4,), generator=stream(step, "weights"))
    state = new_state(model)
    state.step = step
    return model, state


def loaded(folder: Path) -> tuple[int, bytes]:
    """Load the newest checkpoint; return its step and the bits of the model."""
    model, _ = fresh(0)
    return checkpoints.load(folder, model), bits(model)


def bits(model: VAE) -> bytes:
    return b"".join(t.numpy(force=True).tobytes() for t in model.state_dict().values())


def saved(folder: Path) -> Path:
    """Save checkpoints of steps 1 and 2 in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    with Disk().mounted():
        for step in (1, 2):
            save(folder, *fresh(step))
    return folder


def calls(folder: Path, step: int) -> list[str]:
    """Return the calls that saving `step` makes."""
    saved(folder)
    with Disk().mounted() as disk:
        save(folder, *fresh(step))
    return disk.calls


def disks(folder: Path, step: int, code: int) -> Iterator[Disk]:
    """Yield disks that fail at each call of saving `step`, once and for good."""
    for at in range(len(calls(folder, step))):
        for for_good in (False, True):
            yield Disk(code, at, for_good=for_good)


def fault(folder: Path, disk: Disk, step: int) -> str | None:
    """Save `step` after two checkpoints on a disk that fails; return what is wrong, or None.

    The failure must be an error with its cause, or a warning if the save is whole. Earlier
    checkpoints must load, and nothing unfinished be left.
    """
    saved(folder)
    with warnings.catch_warnings(record=True) as warnings_found:
        warnings.simplefilter("always")
        try:
            with disk.mounted():
                save(folder, *fresh(step))
        except DiskError as error:
            wrong = _unclear(error, folder, disk)
        else:
            warned = any(f"stays: {CAUSES[disk.code]}" in str(w.message) for w in warnings_found)
            wrong = None if warned else f"call {disk.at} failed and nobody noticed"
    return wrong or what_is_lost(folder, step)


def _unclear(error: DiskError, folder: Path, disk: Disk) -> str | None:
    named = error.what.startswith(f"{folder}") and ".part" not in error.what
    explained = error.what.endswith(" cannot be written") and error.why.startswith(
        CAUSES[disk.code]
    )
    return None if named and explained else f"it says: {error}"


def what_is_lost(folder: Path, step: int) -> str | None:
    """Return which checkpoint is lost, whether `step` was saved or not; None if none is."""
    for path, wrong in checkpoints.check_checkpoints(folder).items():
        if wrong is not None:
            return f"the checkpoint {path} is not whole: {wrong}"
    found, model = loaded(folder)
    if found not in (2, step) or model != bits(fresh(found)[0]):
        return f"step {found} is loaded"
    left = unfinished(folder)
    return f"{left[0]} is left" if left else None


def on_a_full_disk(disk: Path, free: int) -> str | None:
    """Save on a small disk with `free` bytes; return what is wrong, or None.

    Whether they are enough or not, earlier checkpoints must load, and the next save succeed.
    """
    folder = saved(disk / "checkpoints")
    with filled(disk, free):
        try:
            save(folder, *fresh(3))
        except DiskError as error:
            if not error.why.startswith(CAUSES[errno.ENOSPC]):
                return f"it says: {error}"
        if lost := what_is_lost(folder, 3):
            return lost
    save(folder, *fresh(3))
    return None if loaded(folder)[0] == 3 else "the next save is lost"


def calls_of(options: list[str], folder: Path) -> int:
    """Return the number of calls that a training in `folder` makes."""
    with Disk().mounted() as disk, suppress(SystemExit):
        main(["train", *options, "--out", str(folder / "run")])
    return len(disk.calls)


def in_training(
    options: list[str],
    disk: Disk,
    through: Path,
    folder: Path,
    failing: Callable[..., None] = children.failing,
) -> list[str]:
    """Train on a disk that fails, resume on one that does not, and return what is wrong.

    Args:
        options: options of the training.
        disk: disk that fails.
        through: run with the same options on a disk that does not fail.
        folder: empty folder.
        failing: function that trains on the disk; another one is a control.
    """
    run, log = folder / "run", folder / "log"
    line = ["train", *options, "--out", str(run)]
    code = children.end(children.start(failing, log, line, disk))
    printed = log.read_text()
    faults = _unreported(printed, code, CAUSES[disk.code]) + damage(run)
    if (
        code == 0
    ):  # training may go on without an intermediate checkpoint, but not without the last one
        faults += differences(run, through)
    again = ["train", "--resume", str(run), "--quiet"] if (run / "config.toml").exists() else line
    if children.end(children.start(children.elboroom, log, again)):
        return [*faults, f"it cannot be resumed: {log.read_text().removeprefix(printed)}"]
    return faults + differences(run, through)


def _unreported(printed: str, code: int, cause: str) -> list[str]:
    """Check that the cause is printed, whether training ends by it or goes on."""
    parts = all(f"\n  {part}: " in printed for part in ("why", "fix"))
    ended = code == 1 and "error: " in printed and parts
    reported = (ended or code == 0) and cause in printed and "Traceback" not in printed
    return [] if reported else [f"exit code {code}, and prints: {printed}"]
