"""Memory: the free amount, and freed blocks that the process keeps."""

import ctypes
import math
import os
import re
import sys
from pathlib import Path

import torch
from torch import Tensor

from elboroom.device.ranks import neighbours
from elboroom.errors import UsageError

_SMALL = 1 << 26  # bytes; free memory is not asked for below them


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks instead of giving them back to the kernel.

    A training step frees and allocates the same megabytes of gradients each time. Taking them from
    the kernel again costs a page fault for every 4 KiB: a fifth of a step of the reference model.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has no mallopt
        trim_threshold, mmap_threshold, keep = -1, -3, 1 << 30
        mallopt(trim_threshold, keep)
        mallopt(mmap_threshold, keep)


def readable(size: float) -> str:
    """Write a number of bytes for people, such as "1.5 GiB"."""
    for unit in ("KiB", "MiB"):
        size /= 1024
        if size < 1024:
            return f"{size:,.1f} {unit}"
    return f"{size / 1024:,.1f} GiB"


def require_room(shape: tuple[int, ...], like: Tensor, **counts: int) -> None:
    """Check that an array can be held in free memory, before it is computed.

    Args:
        shape: shape of the array.
        like: a tensor of its type and on its device.
        counts: the caller's arguments that set its size, by name.

    Raises:
        UsageError: the memory is not free; a system that does not report free memory passes.
    """
    needed = math.prod(shape) * like.element_size()
    free = free_memory(like.device) if needed > _SMALL else None
    if free is None or needed <= free:
        return
    sizes = " × ".join(f"{size:,}" for size in shape)
    raise UsageError(
        f"{' and '.join(f'{name} = {count:,}' for name, count in counts.items())}: at least "
        f"{readable(needed)} of memory is needed, and {readable(free)} is free",
        why=f"{sizes} numbers of {like.element_size()} bytes would be held together",
        fix=f"give a smaller {' or '.join(counts)}",
    )


_GROUP = Path("/sys/fs/cgroup")


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that can still be allocated on `device`; None if the system hides it.

    The processes that torchrun started on this machine have equal shares of its memory.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    of_all = _free_of_system(), _free_of_group()
    shares = [free // neighbours() for free in of_all if free is not None]
    own = _free_of_process()
    return min([*shares, *([] if own is None else [own])], default=None)


def _free_of_system() -> int | None:
    """Return Linux's estimate of memory without swapping; on other systems the unused pages."""
    information = Path("/proc/meminfo")
    if information.exists():
        found = re.search(r"^MemAvailable: +(\d+) kB", information.read_text(), re.MULTILINE)
        return int(found[1]) << 10 if found else None
    if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _free_of_group() -> int | None:
    """Return a container's limit less its use, not counting cached files; None without a limit."""
    limit = _GROUP / "memory.max"
    if not limit.exists() or (most := limit.read_text().strip()) == "max":
        return None
    cached = re.search(r"^inactive_file (\d+)", (_GROUP / "memory.stat").read_text(), re.MULTILINE)
    used = int((_GROUP / "memory.current").read_text()) - (int(cached[1]) if cached else 0)
    return max(0, int(most) - used)


def _free_of_process() -> int | None:
    """Return the limit of addresses (`ulimit -v`) less those in use; None without a limit."""
    if not sys.platform.startswith("linux"):
        return None
    import resource  # Unix alone has it

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
