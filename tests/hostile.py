"""Files made to harm their reader, what it must say of each, and the bounds it must keep."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elboroom.errors import ElboroomError
from watch import executions

ROOM, SECONDS = 256 << 20, 2.0  # bytes of memory more than before, and time, for each file


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


def fault(
    case: Case, folder: Path, bounds: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> str | None:
    """What the reader of a case does wrong; None if nothing."""
    path = case.make(folder)
    before, clock = sorted(folder.rglob("*")), time.perf_counter()
    with bounds(), executions() as executed:
        said = _said(case, path)
    seconds = time.perf_counter() - clock
    if executed:
        return f"it has executed {executed[0]}"
    if sorted(folder.rglob("*")) != before:
        return "it has written files"
    if seconds > SECONDS:
        return f"it has taken {seconds:.1f} s"
    if not case.told:
        return None if said is None else f"it says: {said}"
    is_clear = said is not None and case.told in said and _has_parts(said)
    return None if is_clear else f"it says: {said}"


@contextmanager
def bounded() -> Iterator[None]:
    """The process can have `ROOM` more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def writing(name: str, content: bytes) -> Callable[[Path], Path]:
    """What writes a file of that name."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _said(case: Case, path: Path) -> str | None:
    """What is said of a file; of anything but a clear error, its type comes first."""
    try:
        case.read(path)
    except ElboroomError as error:
        return "out of memory" if _is_of_memory(error) else str(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a fault
        return f"{type(error).__name__}: {error}"
    return None


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
