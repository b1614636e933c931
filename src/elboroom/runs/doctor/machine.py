"""Checks of this machine for training, some of them timed."""

import platform
import shutil
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch

from elboroom import __version__
from elboroom.config import TrainConfig
from elboroom.device import free_memory, resolve_device
from elboroom.runs.doctor.finding import Finding
from elboroom.training.speed.compilation import why_not_compilable
from elboroom.training.speed.explain import machine_choices
from elboroom.training.speed.threads import SIDE, is_core_taken, product_seconds

_LITTLE_SPACE = 1 << 30  # bytes; a checkpoint of a large model takes some hundred MiB


def check_machine(folder: Path, config: TrainConfig) -> list[Finding]:
    """Check this machine for training.

    Args:
        folder: folder of the runs; it need not exist yet.
        config: options that choose device, precision and threads.

    Raises:
        UsageError: if the config names a device that this machine does not have.
    """
    chosen = [Finding(name, found) for name, found in machine_choices(config).items()]
    device, place = resolve_device(config.device), _nearest_folder(folder)
    return [
        _versions(),
        *chosen,
        _cores(torch.get_num_threads()),
        _compiler(device),
        _memory(device),
        _disk(place),
        _permission(place),
    ]


def _nearest_folder(folder: Path) -> Path:
    """Return the folder if it exists, else the nearest one above it."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _versions() -> Finding:
    python = f"Python {platform.python_version()}"
    found = f"elboroom {__version__}, {python}, PyTorch {torch.__version__}, NumPy {np.__version__}"
    return Finding("versions", found)


def _cores(most: int) -> Finding:
    """Time a product of matrices with all threads and with one."""
    with_one = product_seconds(1)
    work = f"a product of {SIDE:,} × {SIDE:,} matrices takes"
    if most == 1:
        return Finding("cores", f"{work} {1e3 * with_one:.1f} ms with the only thread")
    with_all = product_seconds(most)
    found = (
        f"{work} {1e3 * with_all:.1f} ms with {most} threads and {1e3 * with_one:.1f} ms with one"
    )
    if not is_core_taken(with_all, with_one):
        return Finding("cores", found)
    fix = "end the process that uses a core; until then --threads auto uses one thread if faster"
    return Finding("cores", f"{found}, as if another process uses a core", fix)


def _compiler(device: torch.device) -> Finding:
    why = why_not_compilable(device)
    if why is None:
        return Finding("compiler", f"networks can be compiled for {device.type}")
    fix = "install what is missing: it makes runs with many samples faster"
    if device.type not in ("cpu", "cuda"):
        fix = None
    return Finding("compiler", f"networks run without compilation: {why}", fix)


def _memory(device: torch.device) -> Finding:
    free = free_memory(device)
    if free is None:
        fix = "give --batch-size a number"
        return Finding(
            "memory", f"the system does not report the free memory of {device.type}", fix
        )
    return Finding("memory", f"{_size(free)} of {device.type} memory are free")


def _disk(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    found = f"{_size(free)} are free at {place}"
    return Finding("disk", found, "free some space" if free < _LITTLE_SPACE else None)


def _permission(place: Path) -> Finding:
    """Write a file, because a system may refuse what permissions allow."""
    try:
        with TemporaryFile(dir=place):
            return Finding("writing", f"files can be written at {place}")
    except OSError as error:
        fix = "give an --out where you may write"
        return Finding("writing", f"nothing can be written at {place}: {error}", fix)


def _size(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB"
