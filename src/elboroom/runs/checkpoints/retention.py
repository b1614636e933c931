"""Retention of checkpoints: the newest two, and the one with the largest held-out ELBO."""

import math
import shutil
import warnings
from pathlib import Path

from elboroom.config import WIDTHS
from elboroom.errors import DiskError
from elboroom.runs.atomic import remove_folder
from elboroom.runs.checkpoints import listing, manifest

_NEWEST_KEPT = 2
_AT_ONCE = _NEWEST_KEPT + 2  # with the best, and the one that is being written
_COPIES = 3  # weights and two moments
_FLOAT = 4  # bytes


def require_disk_space(folder: Path, weights: int, *, averages: bool = False) -> None:
    """Check that the disk can hold the checkpoints of a model, before its run is made.

    Args:
        folder: where they will be written; it need not exist.
        weights: number of weights that the model has, at least.
        averages: True if a moving average of the weights is kept, too.

    Raises:
        DiskError: if it cannot.
    """
    disk = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    needed = _AT_ONCE * (_COPIES + averages) * _FLOAT * weights
    free = shutil.disk_usage(disk).free
    if needed > free:
        raise DiskError(
            f"the checkpoints of this run do not fit on the disk of {folder}",
            why=f"found {free / 2**30:,.3f} GiB free; expected {needed / 2**30:,.3f} GiB, for up "
            f"to {_AT_ONCE} checkpoints with the moments of the optimiser",
            fix="free some space, give --out on another disk, or take a smaller "
            f"{WIDTHS}, --latents or --components",
        )


def best_first(folder: Path) -> list[Path]:
    """Return the checkpoints with a known held-out ELBO, the largest first.

    Those with an unreadable manifest come before all others: any of them could be the best.
    """
    elbos = {path: _held_out_elbo(path) for path in listing.newest_first(folder)}
    known = [path for path, elbo in elbos.items() if elbo > -math.inf]
    return sorted(known, key=lambda path: elbos[path], reverse=True)


def best_held_out_elbo(folder: Path, until: int) -> float:
    """Return the largest held-out ELBO of a whole checkpoint up to a step, in nats per image.

    Later checkpoints are broken, or training was rolled back before them; the next save deletes
    them.

    Returns:
        The ELBO; -inf if there is none.
    """
    paths = [path for path in best_first(folder) if listing.step_of(path) <= until]
    whole = (path for path in paths if manifest.find_damage(path) is None)
    return next(map(_held_out_elbo, whole), -math.inf)


def tidy(folder: Path, newest: Path) -> None:
    """Delete the checkpoints that `newest`, which was just written, makes superfluous.

    The newest two are kept, and the best of those that are whole. Checkpoints at later steps, and
    earlier ones at the same step, are deleted: training was rolled back before them, or they are
    broken.
    """
    kept = _on_path(listing.newest_first(folder), newest)[:_NEWEST_KEPT]
    kept += _best_whole(_on_path(best_first(folder), newest))
    for path in listing.newest_first(folder):
        if path not in kept:
            _delete_if_possible(path)
    for leftover in folder.glob(".step-*.part"):  # a writer was killed
        shutil.rmtree(leftover, ignore_errors=True)


def _on_path(paths: list[Path], newest: Path) -> list[Path]:
    """Return `newest` and the checkpoints that lead to it, in the order given."""
    step = listing.step_of(newest)
    return [path for path in paths if path == newest or listing.step_of(path) < step]


def _best_whole(paths: list[Path]) -> list[Path]:
    """Return the first whole checkpoint, and those before it that the disk cannot read now."""
    kept = list[Path]()
    for path in paths:
        try:
            manifest.verify(path)
        except manifest.UNREADABLE as error:
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                kept.append(path)
        else:
            return [*kept, path]
    return kept


def _delete_if_possible(path: Path) -> None:
    """Delete a checkpoint; only warn on failure, because the new checkpoint is worth more."""
    try:
        remove_folder(path)
    except DiskError as error:
        warnings.warn(f"{path} is not needed any more but stays: {error.why}", stacklevel=5)


def _held_out_elbo(path: Path) -> float:
    """Return the held-out ELBO; -inf if there is none, inf if the manifest is unreadable."""
    try:
        elbo = manifest.read(path).held_out_elbo
    except manifest.UNREADABLE:
        return math.inf
    return -math.inf if elbo is None else elbo
