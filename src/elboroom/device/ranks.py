"""Ranks: the processes that torchrun started, and what they tell each other.

Everything is sent as numbers or text; nothing is pickled. With one process nothing is sent.
"""

import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from elboroom.device.meeting import fresh_store
from elboroom.errors import UsageError, WorldError

_PATIENCE = timedelta(minutes=30)  # for a rank that times steps or writes while others wait
_LOST = ("gloo", "NCCL", "Connection", "ProcessGroup", "Broken pipe")
"""Words in PyTorch's messages on a rank that cannot be reached."""

T = TypeVar("T")
V = TypeVar("V", Tensor, str, Tensor | str)


@dataclass(frozen=True)
class World:
    """A group of processes that work on one task; each is called a rank.

    Every method but `part_of` must be called by all ranks in the same order.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """True for rank 0, which alone prints and writes."""
        return self.rank == 0

    def part_of(self, count: int) -> slice:
        """Return the places of this rank among `count`: the ranks' parts differ by one at most.

        The first rank has some if there are any.
        """
        return slice(*(-(-count * rank // self.size) for rank in (self.rank, self.rank + 1)))

    def own(self, items: Sequence[T]) -> Sequence[T]:
        """Return those of some items that this rank works on."""
        return items[self.part_of(len(items))]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the ranks, without gradients."""
        if self.size == 1:
            return values.detach()
        total = values.detach().clone()
        with lost_ranks(self):
            dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Return True if the flag of any rank is True."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(float(flag))))

    def least(self, number: int) -> int:
        """Return the smallest number that a rank has."""
        if self.size == 1:
            return number
        found = torch.tensor(number)
        with lost_ranks(self):
            dist.all_reduce(found, dist.ReduceOp.MIN)
        return int(found)

    def first_text(self, text: str) -> str:
        """Return the text of the lowest rank whose text is not empty; else an empty one."""
        if self.size == 1:
            return text
        speaker = self.least(self.rank if text else self.size)
        return self.bytes_of(text.encode(), speaker).decode() if speaker < self.size else ""

    def bytes_of(self, content: bytes, rank: int = 0) -> bytes:
        """Return the bytes that one rank has, on all ranks; those of the others are ignored."""
        if self.size == 1:
            return content
        size = torch.tensor(len(content))
        with lost_ranks(self):
            dist.broadcast(size, rank)
            sent = _as_tensor(content) if self.rank == rank else _empty(int(size))
            if len(sent):
                dist.broadcast(sent, rank)
        return _as_bytes(sent)

    def take_first(self, tensors: Iterable[Tensor]) -> None:
        """Copy the values of rank 0 into the tensors of the others, in place."""
        if self.size > 1:
            with lost_ranks(self), torch.no_grad():
                for tensor in tensors:
                    sent = tensor.contiguous()
                    dist.broadcast(sent, 0)
                    if not self.is_first:
                        tensor.copy_(sent)

    def gather(self, parts: Sequence[Mapping[str, V]]) -> list[dict[str, V]]:
        """Return the named tensors and texts of all ranks, in their order, on rank 0.

        The others get none. Tensors come back in the memory of the processor.
        """
        if self.size == 1:
            return [dict(part) for part in parts]
        mine = _to_bytes(parts)
        with lost_ranks(self):
            contents = [self._send_to_first(mine, rank) for rank in range(self.size)]
        return [part for content in contents if content for part in _from_bytes(content)]

    def _send_to_first(self, content: bytes, rank: int) -> bytes:
        """Return the bytes of a rank on rank 0, and none elsewhere."""
        if rank == 0:
            return content if self.is_first else b""
        if self.rank == rank:
            dist.send(torch.tensor(len(content)), 0)
            dist.send(_as_tensor(content), 0)
        if not self.is_first:
            return b""
        size = torch.tensor(0)
        dist.recv(size, rank)
        received = _empty(int(size))
        dist.recv(received, rank)
        return _as_bytes(received)

    def spread(self, parts: Sequence[Mapping[str, V]]) -> list[dict[str, V]]:
        """Return the named tensors and texts of all ranks, in their order, on every rank."""
        gathered = self.gather(parts)
        return gathered if self.size == 1 else _from_bytes(self.bytes_of(_to_bytes(gathered)))


ALONE = World()
"""The world of a process that was started by itself."""


def world() -> World:
    """Return the world that this process has joined, or that of one process."""
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return ALONE


def neighbours() -> int:
    """Return the number of processes that have joined the world on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world().size > 1 else 1


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that torchrun started, for this block.

    NCCL reduces on CUDA, and gloo on the processor. Each process takes the card of its number on
    its machine, and an equal share of the processor's cores if torchrun limited it to one.

    Raises:
        UsageError: if there are more processes on this machine than cards.
        WorldError: if the other ranks cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or world().size > 1:
        yield world()
        return
    _take_card()
    _take_cores()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with lost_ranks(World(rank, size)):
        store = fresh_store(rank, size, _PATIENCE)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    yield world()
    with lost_ranks(world()):
        world().any(False)  # a rank that left early would break the connections of the others
    gc.collect()  # what still holds the group would end its threads when Python ends, and abort
    dist.destroy_process_group()


@contextmanager
def lost_ranks(here: World) -> Iterator[None]:
    """Report a rank that cannot be reached in this block.

    Raises:
        WorldError: in place of what PyTorch raises then.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error) for word in _LOST):
            raise
        raise WorldError(
            f"another of the {here.size} processes was lost",
            why=str(error).strip().partition("\n")[0].partition(". ")[0],
            fix="look at the error of the rank that ended first, or in the system's log, if it was "
            "killed. torchrun --max-restarts with --resume-or-start restarts all of them",
        ) from error


def _take_card() -> None:
    """Choose the card of this process.

    Raises:
        UsageError: if there is none left.
    """
    number, cards = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if not cards:
        return
    if number >= cards:
        raise UsageError(
            f"torchrun started at least {number + 1} processes here, and there are {cards} cards",
            why="each process needs a card of its own",
            fix=f"use --nproc-per-node {cards}, or hide the cards: CUDA_VISIBLE_DEVICES=",
        )
    torch.cuda.set_device(number)


def _take_cores() -> None:
    """Share the cores among the processes of this machine, which torchrun allows one each."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes > 1 and os.environ.get("OMP_NUM_THREADS") == "1":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        torch.set_num_threads(max(1, cores // processes))


def _to_bytes(parts: Sequence[Mapping[str, Any]]) -> bytes:
    """Return named tensors and texts as bytes of safetensors, whose names hold their places."""
    named = dict[str, Tensor]()
    for number, part in enumerate(parts):
        for place, (name, value) in enumerate(part.items()):
            is_text = isinstance(value, str)
            tensor = _as_tensor(value.encode()) if is_text else value.detach().cpu().contiguous()
            named[f"{number}/{place}/{'text' if is_text else 'tensor'}/{name}"] = tensor.clone()
    return save_tensors(named)


def _from_bytes(content: bytes) -> list[dict[str, Any]]:
    """Return what `_to_bytes` was given, its names in their order."""
    found = list[tuple[int, int, str, Any]]()
    for key, tensor in load_tensors(content).items():
        number, place, kind, name = key.split("/", 3)
        value = _as_bytes(tensor).decode() if kind == "text" else tensor
        found.append((int(number), int(place), name, value))
    parts = dict[int, dict[str, Any]]()
    for number, _, name, value in sorted(found, key=lambda entry: entry[:2]):
        parts.setdefault(number, {})[name] = value
    return list(parts.values())


def _as_tensor(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else _empty(0)


def _as_bytes(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()


def _empty(size: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8)
