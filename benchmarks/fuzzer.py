"""Mutates the files of one reader by atheris, guided by the lines that they reach, in one process.

`python -m benchmarks.fuzzer TARGET FILES FOLDER [CONTROL]`; TARGET is a name of `tests/targets.py`,
FOLDER is empty, CONTROL a check of `tests/hostile_controls.py` that is taken out. It prints JSON.
"""

import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

_INSTRUMENTED = (
    *("elboroom.data", "elboroom.foreign", "elboroom.tensors", "elboroom.checkpoints"),
    *("elboroom.config", "elboroom.runs", "tomllib"),
)
_LONGEST = 1 << 14  # bytes of a file; whole ones have less
_HANGS = 60  # seconds
_WARMTH = 100  # files before memory is measured: what is loaded once is loaded
_FAULTS = 10  # are told


@dataclass
class Found:
    """Of one reader.

    Attributes:
        files: so many were read.
        taken: of them, so many were not refused.
        faults: what was wrong, the first ones.
        seconds: the longest that a file took.
        memory: MiB that the process grew by while it read them.
    """

    files: int = 0
    taken: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    memory: float = 0.0


def main(name: str, files: int, folder: Path, *control: str) -> None:
    """Read so many mutated files by the reader `name`, and print what was found."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        hostile, targets, watch = map(import_module, ("hostile", "targets", "watch"))
    for check in control:
        module, called, instead, _ = import_module("hostile_controls").CONTROLS[check]
        setattr(module, called, instead)
    mutated = import_module("mutations").mutated
    target, found, before = targets.TARGETS[name], Found(), 0.0
    read, seeds = target.reader(folder), _written(target.seeds, folder / "seeds")

    def one(content: bytes) -> None:
        nonlocal before
        before = _peak() if found.files == _WARMTH else before
        found.files += 1
        clock = time.perf_counter()
        with hostile.bounded(), watch.executions() as executed:
            wrong = _wrong(lambda: targets.is_taken(read, content), found)
        seconds = time.perf_counter() - clock
        found.seconds = max(found.seconds, seconds)
        wrong = f"it has executed {executed[0]}" if executed else wrong
        wrong = f"it has taken {seconds:.1f} s" if seconds > hostile.SECONDS else wrong
        if wrong and len(found.faults) < _FAULTS:
            found.faults.append(f"{wrong:.300}: {content.hex()}")
        if found.files == files:
            found.memory = _peak() - before
            _end(found)

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        """Of a whole file as often as of one that led to new lines, which grow shorter."""
        random = Random(seed)
        if random.random() < 0.5:
            return mutated(random.choice(list(target.seeds.values())), random)[:most]
        return atheris.Mutate(content, most)

    options = [f"-max_len={_LONGEST}", f"-timeout={_HANGS}", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], "-seed=1", *options, str(seeds)], one, custom_mutator=mutate)
    atheris.Fuzz()


def _written(seeds: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
    return folder


def _wrong(is_taken: Any, found: Found) -> str | None:
    """What is raised but a refusal."""
    try:
        found.taken += is_taken()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a fault
        return f"{type(error).__name__}: {error}"
    return None


def _peak() -> float:
    """MiB that the process had at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _end(found: Found) -> None:
    """Print it; the fuzzer itself has no end."""
    sys.stdout.write(json.dumps(asdict(found)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
