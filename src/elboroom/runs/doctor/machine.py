"""What this machine can do for training, looked at and timed."""

import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
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

_LITTLE = 1 << 30  # bytes of a disk; a checkpoint of a large model takes some hundred MiB
_NAME = "elboroom"


def examine(folder: Path, config: TrainConfig) -> list[Finding]:
    """What elboroom finds here.

    Args:
        folder: where runs go; it may not exist yet.
        config: whose choices of device, precision and threads are told.

    Raises:
        UsageError: it names a device that this machine does not have.
    """
    chosen = [Finding(name, found) for name, found in machine_choices(config).items()]
    device, place = resolve_device(config.device), _that_exists(folder)
    return [
        _versions(),
        *chosen,
        _cores(torch.get_num_threads()),
        _compiler(device),
        _memory(device),
        _disk(place),
        _permission(place),
        *_extras(),
    ]


def _that_exists(folder: Path) -> Path:
    """The folder, or the nearest around it."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _versions() -> Finding:
    python = f"Python {platform.python_version()}"
    found = f"elboroom {__version__}, {python}, PyTorch {torch.__version__}, NumPy {np.__version__}"
    return Finding("versions", found)


def _cores(most: int) -> Finding:
    """A product of matrices, timed by all threads and by one."""
    of_one = product_seconds(1)
    work = f"a product of {SIDE:,} × {SIDE:,} matrices takes"
    if most == 1:
        return Finding("cores", f"{work} {1e3 * of_one:.1f} ms by the one thread there is")
    of_all = product_seconds(most)
    found = f"{work} {1e3 * of_all:.1f} ms by {most} threads and {1e3 * of_one:.1f} ms by one"
    if not is_core_taken(of_all, of_one):
        return Finding("cores", found)
    fix = "end what keeps a core; until then --threads auto takes one thread where that is faster"
    return Finding("cores", f"{found}, as where another process keeps a core", fix)


def _compiler(device: torch.device) -> Finding:
    why = why_not_compilable(device)
    if why is None:
        return Finding("compiler", f"networks can be compiled for {device.type}")
    fix = "install what is missing: runs with many samples are faster by it"
    if device.type not in ("cpu", "cuda"):
        fix = None
    return Finding("compiler", f"networks run as they stand: {why}", fix)


def _memory(device: torch.device) -> Finding:
    free = free_memory(device)
    if free is None:
        fix = "give --batch-size a number"
        return Finding("memory", f"the system does not tell how much of {device.type} is free", fix)
    return Finding("memory", f"{_size(free)} of {device.type} are free")


def _disk(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    found = f"{_size(free)} are free at {place}"
    return Finding("disk", found, "free some space" if free < _LITTLE else None)


def _permission(place: Path) -> Finding:
    """By writing, for a system may refuse what permissions allow."""
    try:
        with TemporaryFile(dir=place):
            return Finding("writing", f"files can be written at {place}")
    except OSError as error:
        fix = "give an --out where you may write"
        return Finding("writing", f"nothing can be written at {place}: {error}", fix)


def _extras() -> Iterator[Finding]:
    """What else can be installed, by the metadata of this installation."""
    try:
        extras = metadata.metadata(_NAME).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return
    for extra in extras:
        missing = [name for name in _required(extra) if not _is_installed(name)]
        if missing:
            pip = f"{sys.executable} -m pip install '{_NAME}[{extra}]'"
            yield Finding(f"extra {extra}", f"{', '.join(missing)} not installed", pip)
        else:
            yield Finding(f"extra {extra}", "installed")


def _required(extra: str) -> list[str]:
    """The packages that an extra adds."""
    lines = metadata.requires(_NAME) or []
    wanted = [line for line in lines if re.search(rf"extra == ['\"]{extra}['\"]", line)]
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in wanted]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _size(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB"
