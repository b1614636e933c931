"""Checkpoints damaged on the disk: each is reported, and the one before is used."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from elboroom.errors import ElboroomError
from elboroom.runs import checkpoints
from tests.support.checkpoint_cases import FILES, Bits, content, flip, fresh, same_bits, save, step

Files = dict[str, bytes | None]
"""Files of a checkpoint by name; None for a missing file."""


@dataclass(frozen=True)
class Saved:
    """Checkpoints of steps 1 and 2.

    Attributes:
        folder: folder of both.
        older: content of the first.
        newer: content of the second.
        expected: every number that the first must give back.
    """

    folder: Path
    older: dict[str, bytes]
    newer: dict[str, bytes]
    expected: Bits


@dataclass(frozen=True)
class Corruption:
    """A corruption of the newer checkpoint, and the files that it then has."""

    name: str
    files: Files


def saved(folder: Path) -> Saved:
    """Save checkpoints of steps 1 and 2."""
    training, bits = fresh(), []
    for _ in range(2):
        save(folder, *step(training))
        bits.append(content(training))
    return Saved(folder, _files(folder, 1), _files(folder, 2), bits[0])


def _files(folder: Path, step: int) -> dict[str, bytes]:
    return {name: (folder / f"step-{step:06d}" / name).read_bytes() for name in FILES}


def corruptions(found: Saved, random: Random) -> Iterator[Corruption]:
    """Yield corruptions of the newer checkpoint without end."""
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
    """Overwrite a block as a disk may lose it, with zeros or random bytes."""
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


def mishandled(folder: Path, count: int, seed: int) -> list[str | None]:
    """Return, for each of `count` corruptions, how it was mishandled; None if it was not."""
    found = saved(folder)
    return [fault(found, one) for one in islice(corruptions(found, Random(seed)), count)]


def fault(found: Saved, corruption: Corruption) -> str | None:
    """Corrupt, load and restore; return how the corruption was mishandled, or None."""
    newest = found.folder / "step-000002"
    _write(newest, corruption.files)
    training = fresh(seed=1)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            used = checkpoints.load(found.folder, *training)
    except ElboroomError as error:
        return f"{corruption.name}: {error}"
    finally:
        _write(newest, dict(found.newer))
    if used != 1 or not same_bits(content(training), found.expected):
        return f"{corruption.name}: step {used} is used"
    if [str(w.message).count("broken: step-000002: ") for w in warned] != [1]:
        return f"{corruption.name}: it is not reported"
    return None


def _write(folder: Path, files: Files) -> None:
    for name, content_ in files.items():
        if content_ is None:
            (folder / name).unlink()
        elif not (folder / name).exists() or (folder / name).read_bytes() != content_:
            (folder / name).write_bytes(content_)
