"""The share that each of several ranks has in a pass over rows on disk, and what they find.

Ranks share the passes within `shared_passes`, which all of them must make in the same order.
Outside of it, and with one process, a share is everything and nothing is sent.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch

from elboroom.data.sharded_array import ShardedArray, Stored, stays_on_disk
from elboroom.device.ranks import ALONE, World, world
from elboroom.errors import DataError

_together = ContextVar("_together", default=False)


@contextmanager
def shared_passes() -> Iterator[None]:
    """Share the passes over rows on disk in this block, which all ranks must enter."""
    token = _together.set(True)
    try:
        yield
    finally:
        _together.reset(token)


def sharers() -> World:
    """Return the ranks that share a pass: all of them within `shared_passes`, else this one."""
    return world() if _together.get() else ALONE


def own_rows(array: Stored) -> slice:
    """Return the rows that this rank passes over: its share on disk, all of those in memory."""
    if isinstance(array, ShardedArray):
        return array.share(sharers())
    return sharers().part_of(len(array)) if stays_on_disk(array) else slice(0, len(array))


def spread(
    found: Sequence[Mapping[str, np.ndarray]], *, on_disk: bool
) -> Sequence[Mapping[str, np.ndarray]]:
    """Return what all ranks found in their shares, in the order of the rows; mine if all did all.

    Args:
        found: named arrays of numbers.
        on_disk: True if each rank passed over its share alone.
    """
    if not on_disk or sharers().size == 1:
        return found
    sent = [{name: torch.from_numpy(_native(a)) for name, a in part.items()} for part in found]
    merged = sharers().spread(sent)
    return [{name: tensor.numpy() for name, tensor in part.items()} for part in merged]


def any_rank(flag: bool, *, on_disk: bool) -> bool:
    """Return whether a flag is True of the share of any rank."""
    return sharers().any(flag) if on_disk else flag


@contextmanager
def errors_of_all(*, on_disk: bool = True) -> Iterator[None]:
    """Raise the `DataError` of the first rank that has one in this block, on every rank.

    The block must not tell other ranks anything.

    Raises:
        DataError: if the block raises one on any rank.
    """
    if not on_disk or sharers().size == 1:
        yield
        return
    mine = None
    try:
        yield
    except DataError as error:
        mine = error
    said = sharers().first_text(json.dumps([mine.what, mine.why, mine.fix]) if mine else "")
    if said:
        what, why, fix = json.loads(said)
        raise DataError(what, why=why, fix=fix) from mine


def _native(array: np.ndarray) -> np.ndarray:
    """Return a copy in the byte order of the machine, as PyTorch needs it."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
