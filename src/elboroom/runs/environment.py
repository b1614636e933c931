"""The environment of a run: versions, device, precision, threads."""

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
from elboroom.device import describe_device, resolve_device, resolve_precision, world

# They decide how numbers round, and the processes also which noise there is.
_DECISIVE = ("elboroom", "torch", "device", "precision", "processes")


def environment(config: TrainConfig) -> dict[str, Any]:
    """Describe the environment in which `config` is trained here."""
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
        "processes": world().size,
        "threads": torch.get_num_threads() if threads == "auto" else threads,
    }


def warn_of_changes(run: Path, before: Mapping[str, Any], config: TrainConfig) -> None:
    """Warn if the run at `run` was started in an environment that rounds differently."""
    now = _versions(config)
    changed = [name for name in _DECISIVE if before.get(name, now[name]) != now[name]]
    if changed:
        changes = ", ".join(f"{name} {before[name]}, now {now[name]}" for name in changed)
        warnings.warn(
            f"{run} was started with {changes}: training resumes from the same state, "
            "but the result will not be the same bit for bit",
            stacklevel=3,
        )


def _revision() -> dict[str, str]:
    """Return the git revision of elboroom if it runs from a checkout."""
    try:
        # This fails if the checkout is of another project.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return {"revision": _git("rev-parse", "HEAD")}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
