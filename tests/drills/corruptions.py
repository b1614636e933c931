"""Checkpoints that are damaged on the disk: each accident must be told, the one before used."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from elboroom.errors import ElboroomError
from elboroom.runs.checkpoints import checkpoint as checkpoints
from tests.support.checkpoint_cases import FILES, Bits, content, flip, fresh, same_bits, step

Files = dict[str, bytes | None]
"""Of a checkpoint, by name; None where a file is missing."""


@dataclass(frozen=True)
class Kept:
    """Checkpoints of steps 1 and 2.

    Attributes:
        folder: they are in.
        older: the content of the first.
        newer: that of the second.
        expected: every number that the first must give back.
    """

    folder: Path
    older: dict[str, bytes]
    newer: dict[str, bytes]
    expected: Bits


@dataclass(frozen=True)
class Corruption:
    """Of the newer checkpoint; `files` is what it then has."""

    name: str
    files: Files


def kept(folder: Path) -> Kept:
    training, bits = fresh(), []
    for _ in range(2):
        checkpoints.save(folder, *step(training))
        bits.append(content(training))
    return Kept(folder, _files(folder, 1), _files(folder, 2), bits[0])


def _files(folder: Path, step: int) -> dict[str, bytes]:
    return {name: (folder / f"step-{step:06d}" / name).read_bytes() for name in FILES}


def corruptions(found: Kept, random: Random) -> Iterator[Corruption]:
    """Without end, each other than the last; all are of the newer checkpoint's files."""
    while True:
        for name, damage in _OF_A_FILE.items():
            for file in FILES:
                files = found.newer | {file: damage(found.newer[file], random)}
                yield Corruption(f"{name} {file}", dict(files))
        a, b = random.sample(FILES, 2)
        files = found.newer | {a: found.newer[b], b: found.newer[a]}
        yield Corruption(f"{a} and {b} are swapped", dict(files))
        stale = random.choice(FILES)
        files = found.newer | {stale: found.older[stale]}
        yield Corruption(f"{stale} is of the checkpoint before", dict(files))
        yield Corruption("all of it is of the checkpoint before", dict(found.older))


def _flipped(whole: bytes, random: Random) -> bytes:
    return flip(whole, random.randrange(8 * len(whole)))


def _cut(whole: bytes, random: Random) -> bytes:
    return whole[: random.randrange(len(whole))]


def _longer(whole: bytes, random: Random) -> bytes:
    return whole + random.randbytes(random.randint(1, 512))


def _overwritten(whole: bytes, random: Random) -> bytes:
    """A block as a disk may lose it: all zeros, or of something else."""
    at, length = random.randrange(len(whole)), random.randint(1, 512)
    block = random.choice([bytes(length), random.randbytes(length)])[: len(whole) - at]
    changed = whole[:at] + block + whole[at + len(block) :]
    return changed if changed != whole else _flipped(whole, random)


_OF_A_FILE: dict[str, Callable[[bytes, Random], bytes | None]] = {
    "a flipped bit of": _flipped,
    "a cut": _cut,
    "a longer": _longer,
    "an overwritten block of": _overwritten,
    "a missing": lambda whole, random: None,
}


def met(folder: Path, count: int, seed: int) -> list[str | None]:
    """What is wrong with how each of so many corruptions is met; None if nothing."""
    found = kept(folder)
    return [fault(found, one) for one in islice(corruptions(found, Random(seed)), count)]


def fault(found: Kept, corruption: Corruption) -> str | None:
    """What is wrong with how a corruption is met; None if nothing. All is as it was then."""
    newest = found.folder / "step-000002"
    _write(newest, corruption.files)
    training = fresh(seed=1)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            used = checkpoints.load(found.folder, *training)
    except ElboroomError as error:
        return f"{corruption.name}: {error}"
    finally:
        _write(newest, dict(found.newer))
    if used != 1 or not same_bits(content(training), found.expected):
        return f"{corruption.name}: step {used} is used"
    if [str(w.message).count("broken: step-000002: ") for w in told] != [1]:
        return f"{corruption.name}: it is not told"
    return None


def _write(folder: Path, files: Files) -> None:
    for name, content_ in files.items():
        if content_ is None:
            (folder / name).unlink()
        elif not (folder / name).exists() or (folder / name).read_bytes() != content_:
            (folder / name).write_bytes(content_)
