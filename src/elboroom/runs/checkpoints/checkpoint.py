"""A checkpoint: a model and its training state in one folder. Nothing is pickled."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from elboroom.errors import RunError, command
from elboroom.model.vae import VAE
from elboroom.runs.atomic import write_file, write_folder
from elboroom.runs.checkpoints import listing, manifest, retention
from elboroom.runs.checkpoints.deletions import CheckpointDeletedError, retry_if_deleted
from elboroom.runs.checkpoints.manifest import MANIFEST, MODEL, OPTIMISER, UNREADABLE
from elboroom.runs.checkpoints.tensors import (
    expected_tensors,
    from_tensors,
    largest_file,
    read_tensors,
    to_bytes,
    to_tensors,
)
from elboroom.training.average import averaged
from elboroom.training.state import TrainState
from elboroom.untrusted import read_bytes


@dataclass(frozen=True)
class Checkpoint:
    """A copy of a model and its training state as bytes, which later steps do not change.

    Attributes:
        step: step of the training state.
        held_out_elbo: nats per image, of the epoch that ends at that step; None within an epoch,
            or if it was not evaluated.
        files: content of each file, by name.
        weights_step: step after which the weights were as they are; an earlier one if training
            ended with its best weights.
    """

    step: int
    held_out_elbo: float | None
    files: dict[str, bytes]
    weights_step: int


def capture(model: VAE, state: TrainState) -> Checkpoint:
    """Copy a model and its training state, as `load` gives them back.

    The file of the model holds the average of its weights, if there is one. The file of the state
    then holds the weights that training goes on from.
    """
    with averaged(state.average):
        tensors = {MODEL: model.state_dict(), OPTIMISER: to_tensors(model, state)}
        files = {name: to_bytes(found) for name, found in tensors.items()}
        return Checkpoint(state.step, _held_out_elbo(state), files, _weights_step(model, state))


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into `folder`, then delete those that it makes superfluous.

    The newest two are kept, and the whole one with the largest held-out ELBO. One that cannot be
    deleted is left for the next time, with a warning.

    Returns:
        The folder of the checkpoint: step-NNNNNN, or step-NNNNNN-2 if that exists already.

    Raises:
        DiskError: if it cannot be written. Earlier checkpoints are unchanged.
    """
    step, elbo, files = checkpoint.step, checkpoint.held_out_elbo, checkpoint.files
    content = files | {MANIFEST: manifest.build(step, elbo, files, checkpoint.weights_step)}

    def fill(unfinished: Path) -> None:
        for name in content:
            write_file(unfinished / name, content[name])

    path = listing.next_path(folder, step)
    write_folder(path, fill)
    retention.tidy(folder, path)
    return path


@retry_if_deleted
def load(folder: Path, model: VAE, state: TrainState | None = None, *, best: bool = False) -> int:
    """Load a checkpoint of `folder` into `model`, and into `state` if given.

    A broken checkpoint is passed over for the next one, with a warning.

    Args:
        folder: checkpoints of a run.
        model: model that takes the weights: the average of them, if the state is not wanted.
        state: training state that takes the moments, the counters and the average.
        best: load the checkpoint with the largest held-out ELBO instead of the newest.

    Returns:
        The step of the checkpoint.

    Raises:
        RunError: if there is no checkpoint, or none matches its manifest and this model.
    """
    broken = list[str]()
    # Two states, each with moments and an average, and the best weights.
    largest = largest_file(*[model.state_dict()] * 9)
    for path in retention.best_first(folder) if best else listing.newest_first(folder):
        try:
            checkpoint = _read(path, largest)
            restore(checkpoint, model, state)
        except UNREADABLE as error:
            if not path.exists():
                raise CheckpointDeletedError from error
            broken.append(f"{path.name}: {error}")
        else:
            _warn_of_broken(broken, path)
            return checkpoint.step
    raise _unusable(folder, broken, best=best)


@retry_if_deleted
def require_room(folder: Path, weights: int) -> None:
    """Check that a checkpoint is large enough for a model, before the model is allocated.

    Args:
        folder: checkpoints of a run.
        weights: smallest number of weights that the model can have.

    Raises:
        RunError: if none is large enough, or if there is none.
    """
    sizes = {path: _size(path) for path in listing.newest_first(folder)}
    if 4 * weights > max(sizes.values(), default=0):
        if not all(path.exists() for path in sizes):
            raise CheckpointDeletedError
        why = "{}: its weights take {:,} bytes; the networks of config.toml take at least {:,}"
        small = [why.format(path.name, size, 4 * weights) for path, size in sizes.items()]
        raise _unusable(folder, small, best=False)


@retry_if_deleted
def check_checkpoints(folder: Path) -> dict[Path, str | None]:
    """Verify each checkpoint, the newest first; return what is wrong, None for a whole one."""
    listed, found = listing.newest_first(folder), dict[Path, str | None]()
    for path in listed:
        damage = manifest.find_damage(path)
        if damage is None or path.exists():
            found[path] = damage
    if listed and not found:
        raise CheckpointDeletedError
    return found


def _read(path: Path, largest: float) -> Checkpoint:
    """Read a checkpoint whose files match its manifest and have at most `largest` bytes."""
    found, files = manifest.read(path), dict[str, bytes]()
    for name in (MODEL, OPTIMISER):
        described = found.files[name]
        whole = (path / name).stat().st_size == described["size"]  # another size is not read
        files[name] = read_bytes(path / name, largest) if whole else b""
        if manifest.describe(files[name]) != described:
            raise ValueError(f"{name} does not match its manifest")
    return Checkpoint(found.step, found.held_out_elbo, files, found.weights_step)


def restore(checkpoint: Checkpoint, model: VAE, state: TrainState | None) -> None:
    """Give a model, and a state if it is wanted, what a checkpoint has of them.

    Raises:
        ValueError: if its tensors are not those of this model.
    """
    model.load_state_dict(read_tensors(checkpoint.files[MODEL], model.state_dict()))
    if state is not None:
        tensors = read_tensors(checkpoint.files[OPTIMISER], *expected_tensors(model, state))
        from_tensors(model, state, checkpoint.step, tensors)


def _size(path: Path) -> int:
    """Return the bytes of the weights; 0 if they cannot be found."""
    try:
        return (path / MODEL).stat().st_size
    except OSError:
        return 0


def _warn_of_broken(broken: list[str], used: Path) -> None:
    if broken:
        warnings.warn(
            f"the checkpoint {used.name} of {used.parent.parent} is used, since others are "
            f"broken: {'; '.join(broken)}",
            stacklevel=5,
        )


def _unusable(folder: Path, broken: list[str], *, best: bool) -> RunError:
    run = folder.parent
    if best and not broken and listing.newest_first(folder):
        return RunError(
            f"no checkpoint of {run} is known to be the best",
            why="none was written at the end of an epoch that had a held-out ELBO",
            fix="load the newest, or train with a smaller --evaluate-every",
        )
    return RunError(
        f"no checkpoint of {run} can be used",
        why="; ".join(broken) or "it has none yet: the run was stopped before its first one",
        fix="train the run again" if broken else f"`{command('train', '--resume', run)}`",
    )


def _held_out_elbo(state: TrainState) -> float | None:
    """Return the held-out ELBO of the epoch that ends at this state, if it has a finite one."""
    epoch = state.history[-1] if state.history else None
    if epoch is None or epoch.step != state.step or epoch.held_out_elbo is None:
        return None
    return epoch.held_out_elbo if math.isfinite(epoch.held_out_elbo) else None


def _weights_step(model: VAE, state: TrainState) -> int:
    """Return the step of the best weights if the model has returned to them, else of the state."""
    if state.best is None:
        return state.step
    weights = model.state_dict()
    is_best = all(torch.equal(weights[n], tensor) for n, tensor in state.best.tensors.items())
    return state.best.step if is_best else state.step
