"""Saves, and whole trainings, on a disk that fails: what is said, and what is left."""

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
from elboroom.runs.atomic import left_aside, restore_names
from elboroom.runs.checkpoints import checkpoint as checkpoints
from elboroom.training.state import new_state
from tests.drills import children
from tests.drills.faults import Disk, filled
from tests.drills.kills import damage, differences

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
    """A model of its own for each step, which saving does not change."""
    model = VAE.from_config(ModelConfig(hidden=(3,)), (4,), generator=stream(step, "weights"))
    state = new_state(model)
    state.step = step
    return model, state


def loaded(folder: Path) -> tuple[int, bytes]:
    """The step of the newest checkpoint that loads, and the model's bits."""
    model, _ = fresh(0)
    return checkpoints.load(folder, model), bits(model)


def bits(model: VAE) -> bytes:
    return b"".join(t.numpy(force=True).tobytes() for t in model.state_dict().values())


def kept(folder: Path) -> Path:
    """A folder with checkpoints of steps 1 and 2."""
    shutil.rmtree(folder, ignore_errors=True)
    with Disk().mounted():
        for step in (1, 2):
            checkpoints.save(folder, *fresh(step))
    return folder


def calls(folder: Path, step: int) -> list[str]:
    """The calls that saving `step` takes."""
    kept(folder)
    with Disk().mounted() as disk:
        checkpoints.save(folder, *fresh(step))
    return disk.calls


def disks(folder: Path, step: int, code: int) -> Iterator[Disk]:
    """Those that fail at each call of saving `step`, once and for good."""
    for at in range(len(calls(folder, step))):
        for for_good in (False, True):
            yield Disk(code, at, for_good=for_good)


def fault(folder: Path, disk: Disk, step: int) -> str | None:
    """What is wrong after `step` is saved beside two checkpoints on a disk that fails, if anything.

    The error must say what and why, or a warning if the save is whole; the checkpoints of before
    must load, nothing be left aside.
    """
    kept(folder)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            with disk.mounted():
                checkpoints.save(folder, *fresh(step))
        except DiskError as error:
            wrong = _unclear(error, folder, disk)
        else:
            warned = any(f"stays: {CAUSES[disk.code]}" in str(w.message) for w in told)
            wrong = None if warned else f"call {disk.at} failed and nobody noticed"
    return wrong or what_is_lost(folder, step)


def _unclear(error: DiskError, folder: Path, disk: Disk) -> str | None:
    named = error.what.startswith(f"{folder}") and ".part" not in error.what
    told = error.what.endswith(" cannot be written") and error.why.startswith(CAUSES[disk.code])
    return None if named and told else f"it says: {error}"


def what_is_lost(folder: Path, step: int) -> str | None:
    """Of the checkpoints, whether `step` was saved or not; for whoever trains on from them."""
    restore_names(folder)
    for path, wrong in checkpoints.examine(folder).items():
        if wrong is not None:
            return f"the checkpoint {path} is not whole: {wrong}"
    found, model = loaded(folder)
    if found not in (2, step) or model != bits(fresh(found)[0]):
        return f"step {found} is loaded"
    left = left_aside(folder)
    return f"{left[0]} is left" if left else None


def on_a_full_disk(disk: Path, free: int) -> str | None:
    """What is wrong after a save on a small disk, of which so many bytes are free.

    Whether they are enough or not, what was there must load, and the next save succeed.
    """
    folder = kept(disk / "checkpoints")
    with filled(disk, free):
        try:
            checkpoints.save(folder, *fresh(3))
        except DiskError as error:
            if not error.why.startswith(CAUSES[errno.ENOSPC]):
                return f"it says: {error}"
        if lost := what_is_lost(folder, 3):
            return lost
    checkpoints.save(folder, *fresh(3))
    return None if loaded(folder)[0] == 3 else "the next save is lost"


def calls_of(options: list[str], folder: Path) -> int:
    """How many calls a training takes that is kept in `folder`."""
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
    """What is wrong after training on a disk that fails, and on one that does not.

    Args:
        options: of the training.
        disk: that fails.
        through: the run that was trained by the same options without any harm.
        folder: is empty.
        failing: trains on the disk; another one is a control.
    """
    run, log = folder / "run", folder / "log"
    line = ["train", *options, "--out", str(run)]
    code = children.end(children.start(failing, log, line, disk))
    said = log.read_text()
    faults = _untold(said, code, CAUSES[disk.code]) + damage(run)
    if code == 0:  # training goes on without a checkpoint on the way, never without the last one
        faults += differences(run, through)
    again = ["train", "--resume", str(run), "--quiet"] if (run / "config.toml").exists() else line
    if children.end(children.start(children.elboroom, log, again)):
        return [*faults, f"it cannot be gone on with: {log.read_text().removeprefix(said)}"]
    return faults + differences(run, through)


def _untold(said: str, code: int, cause: str) -> list[str]:
    """What is wrong with an end by the disk, or with going on: both are told with the cause."""
    parts = all(f"\n  {part}: " in said for part in ("why", "fix"))
    ended = code == 1 and "error: " in said and parts
    told = (ended or code == 0) and cause in said and "Traceback" not in said
    return [] if told else [f"exit code {code}, and says: {said}"]
