"""Checkpoints: a model and its training state in one folder, with a manifest of hashes.

Weights and moments are safetensors, which alone would not notice a flipped bit; the manifest does,
of itself too. Nothing is pickled.
"""

import hashlib
import json
import math
import os
import re
import shutil
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors

from elboroom.errors import DiskError, RunError
from elboroom.model.vae import VAE
from elboroom.runs.atomic import remove_folder, write_file, write_folder
from elboroom.runs.checkpoints.tensors import flat, largest_file, likes, read_tensors, restore
from elboroom.runs.checkpoints.vanished import GoneError, steady, there
from elboroom.training.state import TrainState
from elboroom.untrusted import open_file, parse_json, read_bytes

_KEPT = 2
_LARGEST_MANIFEST = 1 << 16
_MODEL, _OPTIMISER, _MANIFEST = "model.safetensors", "optimizer.safetensors", "manifest.json"
_BROKEN = (OSError, ValueError, TypeError, KeyError, RuntimeError)


@dataclass(frozen=True)
class Checkpoint:
    """A model and its training state as bytes, which later steps do not change.

    Attributes:
        step: at which it was.
        held_out_elbo: nats per image, of the epoch that ends at that step; None within an epoch,
            and where it was not evaluated.
        files: the content of each, by name.
    """

    step: int
    held_out_elbo: float | None
    files: dict[str, bytes]


def capture(model: VAE, state: TrainState) -> Checkpoint:
    """What `load` would give back."""
    files = {_MODEL: _to_bytes(model.state_dict()), _OPTIMISER: _to_bytes(flat(model, state))}
    return Checkpoint(state.step, _held_out_elbo(state), files)


def save(folder: Path, model: VAE, state: TrainState) -> Path:
    """`keep` what is captured now."""
    return keep(folder, capture(model, state))


def keep(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `folder`/step-NNNNNN, then remove what it makes superfluous.

    The newest two are kept, and of those that are whole the one with the largest held-out ELBO.
    Those of later steps go too: training has left their path, or they were found to be broken. One
    that cannot be removed is left for the next time, with a warning.

    Raises:
        DiskError: it cannot be written, and those before it are as they were.
    """
    described = {name: _described(content) for name, content in checkpoint.files.items()}
    manifest = _manifest(checkpoint.step, checkpoint.held_out_elbo, described)

    def fill(aside: Path) -> None:
        for name, content in {**checkpoint.files, _MANIFEST: manifest}.items():
            write_file(aside / name, content)

    path = folder / _name(checkpoint.step)
    write_folder(path, fill)
    _tidy(folder, path)
    return path


@steady
def load(folder: Path, model: VAE, state: TrainState | None = None, *, best: bool = False) -> int:
    """Load a checkpoint of `folder` into `model`, and into `state` if given.

    It is the newest, or the best: that with the largest held-out ELBO. One that is broken is passed
    over for the next, with a warning.

    Returns:
        The step at which it was written.

    Raises:
        RunError: there is none, or none of those there matches its manifest and this model.
    """
    broken, most = [], largest_file(*[model.state_dict()] * 8)  # two states, each with moments
    for path in _best_first(folder) if best else newest_first(folder):
        try:
            with there(path):
                checkpoint = _read(path, most)
            model.load_state_dict(read_tensors(checkpoint.files[_MODEL], model.state_dict()))
            if state is not None:
                tensors = read_tensors(checkpoint.files[_OPTIMISER], *likes(model, state))
                restore(model, state, checkpoint.step, tensors)
        except _BROKEN as error:
            broken.append(f"{path.name}: {error}")
        else:
            _warn_of(broken, path)
            return checkpoint.step
    raise _none_of(folder, broken, best=best)


@steady
def require_room(folder: Path, weights: int) -> None:
    """That a checkpoint is large enough for so many weights, before any are allocated for it.

    Raises:
        RunError: none is, or there is none.
    """
    sizes = {path: _size(path) for path in newest_first(folder)}
    if 4 * weights > max(sizes.values(), default=0):
        why = "{}: it has {:,} bytes, of which the networks of config.toml take {:,} at least"
        small = [why.format(path.name, size, 4 * weights) for path, size in sizes.items()]
        raise _none_of(folder, small, best=False)


@steady
def best_held_out_elbo(folder: Path, until: int) -> float:
    """The largest held-out ELBO of a whole checkpoint up to that step, nats per image.

    Those of later steps are broken, or training has left their path, and they will be removed.
    Without any it is -inf.
    """
    paths = [path for path in _best_first(folder) if named_step(path) <= until]
    return next((_elbo(path) for path in paths if wrong_with(path) is None), -math.inf)


@steady
def examine(folder: Path) -> dict[Path, str | None]:
    """What is wrong with each checkpoint, the newest first; None of one that is whole."""
    listed, found = newest_first(folder), dict[Path, str | None]()
    for path in listed:
        with suppress(GoneError):
            found[path] = wrong_with(path)
    if listed and not found:
        raise GoneError
    return found


def wrong_with(path: Path) -> str | None:
    """What is wrong with the checkpoint `path`, all of which is read; None if it is whole.

    Raises:
        GoneError: it was removed.
    """
    try:
        with there(path):
            _require_whole(path)
    except _BROKEN as error:
        return str(error)
    return None


@steady
def written(folder: Path) -> float:
    """When the newest checkpoint was written, seconds since 1970; inf without any."""
    return max((_time(path) for path in newest_first(folder)), default=math.inf)


def model_of(folder: Path, step: int) -> str | None:
    """The first 16 digits of the SHA-256 of the weights at a step; None if no manifest says it."""
    try:
        return _read_manifest(folder / _name(step))["files"][_MODEL]["sha256"][:16]
    except _BROKEN:
        return None


def _name(step: int) -> str:
    return f"step-{step:06d}"


def named_step(path: Path) -> int:
    """The step that the name of a checkpoint says."""
    return int(path.name.removeprefix("step-"))


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints within `folder`, whole or not; links are none, since a run has none."""
    named = [path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{6,}", path.name)]
    own = [path for path in named if not os.path.islink(path)]
    return sorted(own, key=named_step, reverse=True)


@steady
def _best_first(folder: Path) -> list[Path]:
    """Those whose ELBO is known, and before them those whose manifest is broken: any may be it."""
    elbos = {path: _elbo(path) for path in newest_first(folder)}
    known = [path for path, elbo in elbos.items() if elbo > -math.inf]
    return sorted(known, key=lambda path: elbos[path], reverse=True)


def _elbo(path: Path) -> float:
    """Its held-out ELBO, -inf if there is none; inf if its manifest is broken."""
    try:
        with there(path):
            elbo = _read_manifest(path)["held_out_elbo"]
    except _BROKEN:
        return math.inf
    return -math.inf if elbo is None else elbo


def _tidy(folder: Path, newest: Path) -> None:
    step = named_step(newest)
    kept = [path for path in newest_first(folder) if named_step(path) <= step][:_KEPT]
    kept += _bests([path for path in _best_first(folder) if named_step(path) <= step])
    for path in newest_first(folder):
        if path not in kept:
            _remove(path)
    for leftover in folder.glob(".step-*.part"):  # of a process that was killed while it wrote
        shutil.rmtree(leftover, ignore_errors=True)


def _bests(best_first: list[Path]) -> list[Path]:
    """The best that is whole, after those before it that the disk does not let us read now."""
    kept = list[Path]()
    for path in best_first:
        try:
            _require_whole(path)
        except _BROKEN as error:
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                kept.append(path)
        else:
            return [*kept, path]
    return kept


def _remove(path: Path) -> None:
    """A new checkpoint is worth more than the room of an old one: if this fails, it may stay."""
    try:
        remove_folder(path)
    except DiskError as error:
        warnings.warn(f"{path} is needed no more and stays: {error.why}", stacklevel=5)


def _manifest(step: int, held_out_elbo: float | None, files: dict[str, Any]) -> bytes:
    content = {"step": step, "held_out_elbo": held_out_elbo, "files": files}
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps(content | {"sha256": digest}, indent=2).encode()


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint.

    Raises:
        ValueError: written again it would not be the same.
    """
    content = read_bytes(path / _MANIFEST, _LARGEST_MANIFEST)
    found = parse_json(content)
    step, elbo, files = found["step"], found.get("held_out_elbo"), found["files"]
    old = json.dumps({"step": step, "files": files}, indent=2).encode()  # had no hash of its own
    if content not in (_manifest(step, elbo, files), old):
        raise ValueError("its manifest does not match itself")
    if elbo is not None and not (isinstance(elbo, float) and math.isfinite(elbo)):
        raise ValueError(f"its manifest has the held-out ELBO {elbo}")
    if type(step) is not int or path.name != _name(step):
        raise ValueError(f"its manifest is of step {step}")
    return {"step": step, "held_out_elbo": elbo, "files": files}


def _read(path: Path, most: float) -> Checkpoint:
    """A checkpoint whose files match its manifest and have so many bytes at the most."""
    manifest, files = _read_manifest(path), dict[str, bytes]()
    for name in (_MODEL, _OPTIMISER):
        described = manifest["files"][name]
        whole = (path / name).stat().st_size == described["size"]  # else it is not read
        files[name] = read_bytes(path / name, most) if whole else b""
        if _described(files[name]) != described:
            raise ValueError(f"{name} does not match its manifest")
    return Checkpoint(manifest["step"], manifest["held_out_elbo"], files)


def _require_whole(path: Path) -> None:
    """That the files of a checkpoint match its manifest; they are read piece by piece."""
    manifest = _read_manifest(path)
    for name in (_MODEL, _OPTIMISER):
        described = manifest["files"][name]
        with open_file(path / name) as file:
            whole = os.fstat(file.fileno()).st_size == described["size"]  # else it is not read
            if not whole or hashlib.file_digest(file, "sha256").hexdigest() != described["sha256"]:
                raise ValueError(f"{name} does not match its manifest")


def _size(path: Path) -> int:
    """Bytes of its weights, 0 without any."""
    try:
        with there(path):
            return (path / _MODEL).stat().st_size
    except OSError:
        return 0


def _time(path: Path) -> float:
    with there(path):
        return path.stat().st_mtime


def _warn_of(broken: list[str], used: Path) -> None:
    if broken:
        warnings.warn(
            f"the checkpoint {used.name} of {used.parent.parent} is used, since others are "
            f"broken: {'; '.join(broken)}",
            stacklevel=5,
        )


def _none_of(folder: Path, broken: list[str], *, best: bool) -> RunError:
    run = folder.parent
    if best and not broken and newest_first(folder):
        return RunError(
            f"no checkpoint of {run} is known to be the best",
            why="none was written at the end of an epoch that had a held-out ELBO",
            fix="load the newest, or train with a smaller --evaluate-every",
        )
    return RunError(
        f"no checkpoint of {run} can be used",
        why="; ".join(broken) or "it has none yet: the run was stopped before its first one",
        fix="train the run again" if broken else f"`elboroom train --resume {run}`",
    )


def _held_out_elbo(state: TrainState) -> float | None:
    """Of the epoch at whose end the state is."""
    epoch = state.history[-1] if state.history else None
    if epoch is None or epoch.step != state.step or epoch.held_out_elbo is None:
        return None
    return epoch.held_out_elbo if math.isfinite(epoch.held_out_elbo) else None


def _to_bytes(tensors: dict[str, Any]) -> bytes:
    return save_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def _described(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
