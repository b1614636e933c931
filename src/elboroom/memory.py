"""Memory: how much a decoder takes at a time, how much is free, and what if there is no more."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from elboroom.config import TrainConfig
from elboroom.errors import TrainingError
from elboroom.model import VAE

# bytes of its widest layer: a processor should find them in its cache again, while a card has the
# memory, and gains by few launches
_HELD = {"cuda": 1 << 30}
_HELD_ELSEWHERE = 12 << 20
_SAID = ("out of memory", "can't allocate memory", "ALLOC_FAILED")  # by CUDA, processor, cuBLAS
_GROUP = Path("/sys/fs/cgroup")


def decoded_at_a_time(model: VAE, x: Tensor) -> int:
    """How many z are decoded together, against data like `x` (B, *event): one at the least."""
    layers = (layer for layer in model.decoder.modules() if isinstance(layer, nn.Linear))
    widest = max([x.shape[1:].numel(), *(layer.out_features for layer in layers)])
    return max(1, _HELD.get(x.device.type, _HELD_ELSEWHERE) // (x.element_size() * widest))


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be had on `device`; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [free for free in (_free_of_system(), _free_of_group()) if free is not None]
    return min(found, default=None)


def _free_of_system() -> int | None:
    """What Linux believes can be had without swapping; elsewhere the pages that nothing uses."""
    information = Path("/proc/meminfo")
    if information.exists():
        found = re.search(r"^MemAvailable: +(\d+) kB", information.read_text(), re.MULTILINE)
        return int(found[1]) << 10 if found else None
    if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _free_of_group() -> int | None:
    """What a container leaves: its limit less what is used, files that were only read aside."""
    limit = _GROUP / "memory.max"
    if not limit.exists() or (most := limit.read_text().strip()) == "max":
        return None
    cached = re.search(r"^inactive_file (\d+)", (_GROUP / "memory.stat").read_text(), re.MULTILINE)
    used = int((_GROUP / "memory.current").read_text()) - (int(cached[1]) if cached else 0)
    return max(0, int(most) - used)


@contextmanager
def memory_for(config: TrainConfig) -> Iterator[None]:
    """That memory runs out within is an error of the batch size.

    Raises:
        TrainingError: PyTorch or Python could not have what they asked for.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        size = config.images_a_step
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        advice = (
            f"--batch-size {size // 2} or less, or auto, which takes what fits"
            if size > 1
            else "a smaller --hidden"
        )
        raise TrainingError(
            f"memory ran out in training by batches of {size:,} images",
            why=why,
            fix=f"train a new run with {advice}; one that was begun goes on where there is more",
        ) from error


def _is_of_memory(error: Exception) -> bool:
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(said in str(error) for said in _SAID)
