"""What a run is made with: versions, device, precision, threads."""

import platform
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elboroom import __version__
from elboroom.config import TrainConfig
from elboroom.device import describe_device, resolve_device, resolve_precision

_DECISIVE = ("elboroom", "torch", "device", "precision")  # of how numbers round


def environment(config: TrainConfig) -> dict[str, Any]:
    """What training by `config` is done with here."""
    return {**_versions(config), **_revision()}


def _versions(config: TrainConfig) -> dict[str, Any]:
    device, threads = resolve_device(config.device), config.threads
    return {
        "elboroom": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": describe_device(device),
        "precision": str(resolve_precision(config.precision, device)).removeprefix("torch."),
        "threads": torch.get_num_threads() if threads == "auto" else threads,
    }


def warn_of_changes(run: Path, before: Mapping[str, Any], config: TrainConfig) -> None:
    """Warn where the run at `run` was begun with what makes numbers round otherwise."""
    now = _versions(config)
    changed = [name for name in _DECISIVE if before.get(name, now[name]) != now[name]]
    if changed:
        told = ", ".join(f"{name} {before[name]}, now {now[name]}" for name in changed)
        warnings.warn(
            f"{run} was begun with {told}: "
            "it goes on from the same state, but not to the same end bit for bit",
            stacklevel=3,
        )


def _revision() -> dict[str, str]:
    """The git revision of elboroom, where it runs from a checkout."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # else it is another's checkout
        return {"revision": _git("rev-parse", "HEAD")}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
