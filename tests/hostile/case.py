"""Files made to harm their reader, what it must say of each, and the bounds it must keep."""

import ctypes
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from elboroom.data.formats.parallel import in_order
from elboroom.errors import ElboroomError
from tests.support.watch import misdeeds

ROOM, SECONDS = 256 << 20, 2.0  # bytes of memory more than before, and time, for each file
_KEPT = 16 << 20  # bytes that a process may keep for new blocks
Bounds = Callable[[], AbstractContextManager[Any]]


class _Blocks(ctypes.Structure):
    """`mallinfo2` of glibc: ten sizes in bytes."""

    _before = "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks"
    _fields_ = [(name, ctypes.c_size_t) for name in (*_before, "fordblks", "keepcost")]


@cache
def _libc() -> ctypes.CDLL:
    """Glibc, with the types of what is called here."""
    found = ctypes.CDLL(None)
    found.malloc.restype, found.mallinfo2.restype = ctypes.c_void_p, _Blocks
    found.malloc.argtypes, found.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    return found


@dataclass(frozen=True)
class Case:
    """A file and its reader.

    Attributes:
        name: what is wrong with it.
        make: writes it into a folder, and returns what to read.
        read: its reader.
        told: a part of what must be said of it; "" where it must be read without harm.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    told: str


@dataclass(frozen=True)
class Reading:
    """What came of reading a file.

    Attributes:
        said: why it was refused; None where it was taken.
        fault: what the reader did wrong; None if nothing.
        seconds: it took.
    """

    said: str | None
    fault: str | None
    seconds: float


def reading(read: Callable[[], Any], place: Path, bounds: Bounds) -> Reading:
    """Read a file within bounds; nothing may be executed, nor changed but in the folder `place`."""
    said, clock = None, time.perf_counter()
    with bounds(), misdeeds(place) as done:
        try:
            read()
        except ElboroomError as error:
            said, fault = str(error), "out of memory" if _is_of_memory(error) else None
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a fault
            fault = f"{type(error).__name__}: {error}"
        else:
            fault = None
    seconds = time.perf_counter() - clock
    if done:
        fault = f"it has done {done[0]}"
    elif seconds > SECONDS:
        fault = f"it has taken {seconds:.1f} s"
    return Reading(said, fault, seconds)


def fault(case: Case, folder: Path, bounds: Bounds = nullcontext) -> str | None:
    """What the reader of a case does wrong; None if nothing."""
    path = case.make(folder)
    before = sorted(folder.rglob("*"))
    found = reading(lambda: case.read(path), folder, bounds)
    if found.fault is not None:
        return found.fault
    if sorted(folder.rglob("*")) != before:
        return "it has written files"
    if not case.told:
        return None if found.said is None else f"it says: {found.said}"
    is_clear = found.said is not None and case.told in found.said and _has_parts(found.said)
    return None if is_clear else f"it says: {found.said}"


@cache
@cache
def _start_threads() -> None:
    """Start all threads that decode pictures: each takes room for its stack on many processors."""
    list(in_order(time.sleep, [1e-3] * 64))


@contextmanager
def bounded() -> Iterator[None]:
    """The process can have `ROOM` more than it has."""
    _start_threads()
    blocks = _free_blocks_taken()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for block in blocks:
            _libc().free(block)


def _free_blocks_taken() -> list[ctypes.c_void_p]:
    """Take the blocks that earlier tests freed and the process kept: they would be room, too."""
    blocks, free = list[ctypes.c_void_p](), _libc().mallinfo2().fordblks
    while free > _KEPT:
        blocks.append(ctypes.c_void_p(_libc().malloc(_KEPT)))
        before, free = free, _libc().mallinfo2().fordblks
        if free > before - _KEPT:  # it lies in pieces
            break
    return blocks


def writing(name: str, content: bytes) -> Callable[[Path], Path]:
    """What writes a file of that name."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _is_of_memory(error: BaseException | None) -> bool:
    if error is None:
        return False
    told = "allocate" in str(error)
    return told or isinstance(error, MemoryError) or _is_of_memory(error.__cause__)


def _has_parts(said: str) -> bool:
    """Whether it is what, why and fix, all of which a terminal can show."""
    parts = said.split("\n  ")
    starts = [part[:5] for part in parts[-2:]]
    shown = "".join(parts).replace("\n", "").replace("\t", "")
    return starts == ["why: ", "fix: "] and all(map(str.strip, parts)) and shown.isprintable()
