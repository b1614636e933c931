"""Checkpoints: a model and its training state in one folder, with a manifest of hashes.

Weights and moments are safetensors, which alone would not notice a flipped bit; the manifest does.
Nothing is pickled.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from elboroom.errors import RunError
from elboroom.model import VAE
from elboroom.storage import write_file, write_folder
from elboroom.training import TrainState

_KEPT = 2
_MODEL, _OPTIMISER, _MANIFEST = "model.safetensors", "optimizer.safetensors", "manifest.json"


def save(folder: Path, model: VAE, state: TrainState) -> Path:
    """Write `folder`/step-NNNNNN, then remove all but the newest two."""
    files = {_MODEL: _to_bytes(model.state_dict()), _OPTIMISER: _to_bytes(_flat(model, state))}
    manifest = {
        "step": state.step,
        "files": {name: _described(content) for name, content in files.items()},
    }
    files[_MANIFEST] = json.dumps(manifest, indent=2).encode()

    def fill(aside: Path) -> None:
        for name, content in files.items():
            write_file(aside / name, content)

    path = folder / _name(state.step)
    write_folder(path, fill)
    for old in _newest_first(folder)[_KEPT:]:
        shutil.rmtree(old)
    return path


def load(folder: Path, model: VAE, state: TrainState | None = None) -> int:
    """Load the newest whole checkpoint of `folder` into `model`, and into `state` if given.

    Returns:
        The step at which it was written.

    Raises:
        RunError: there is none, or none of those there matches its manifest and this model.
    """
    broken = []
    for path in _newest_first(folder):
        try:
            step, files = _read(path)
            model.load_state_dict(load_tensors(files[_MODEL]))
            if state is not None:
                _restore(model, state, step, load_tensors(files[_OPTIMISER]))
        except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
            broken.append(f"{path.name}: {error}")
        else:
            return step
    raise RunError(
        f"no checkpoint of {folder.parent} can be used",
        why="; ".join(broken) or "it has none yet: the run was stopped before its first one",
        fix="train the run again" if broken else f"`elboroom train --resume {folder.parent}`",
    )


def _name(step: int) -> str:
    return f"step-{step:06d}"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), key=lambda p: (len(p.name), p.name), reverse=True)


def _read(path: Path) -> tuple[int, dict[str, bytes]]:
    manifest = json.loads((path / _MANIFEST).read_bytes())
    files = {name: (path / name).read_bytes() for name in (_MODEL, _OPTIMISER)}
    for name, content in files.items():
        if _described(content) != manifest["files"][name]:
            raise ValueError(f"{name} does not match its manifest")
    if path.name != _name(manifest["step"]):
        raise ValueError(f"its manifest is of step {manifest['step']}")
    return manifest["step"], files


def _flat(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """The training state as named tensors: Adam's moments by parameter, and the running totals."""
    tensors = {"totals": state.totals}
    for name, parameter in model.named_parameters():
        for moment, value in state.optimiser.state.get(parameter, {}).items():
            tensors[f"{name}|{moment}"] = value
    return tensors


def _restore(model: VAE, state: TrainState, step: int, tensors: dict[str, Tensor]) -> None:
    state.step, state.totals = step, tensors.pop("totals")
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, moment = key.split("|")
        parameter = parameters[name]
        state.optimiser.state[parameter][moment] = value.to(parameter.device)


def _to_bytes(tensors: dict[str, Any]) -> bytes:
    return save_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def _described(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
