"""Mutates the files of one reader by atheris, guided by the lines that they reach, in one process.

`python -m benchmarks.fuzzer TARGET FILES FOLDER [CONTROL]`; TARGET is a name of
`tests/hostile/targets.py`, FOLDER is empty, CONTROL a check of `tests/hostile/controls.py` that is
taken out. It prints JSON.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

_INSTRUMENTED = (
    *(
        "elboroom.data",
        "elboroom.untrusted",
        "elboroom.runs.checkpoints.tensors",
        "elboroom.runs.checkpoints.checkpoint",
    ),
    *("elboroom.config", "elboroom.runs", "tomllib"),
)
_LONGEST = 1 << 14  # bytes of a file; whole ones have less
_HANGS = 60  # seconds
_FAULTS = 10  # are told


@dataclass
class Found:
    """Of one reader.

    Attributes:
        files: so many were read.
        taken: of them, so many were not refused.
        faults: what was wrong, the first ones.
        seconds: the longest that a file took.
    """

    files: int = 0
    taken: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main(name: str, files: int, folder: Path, *control: str) -> None:
    """Read so many mutated files by the reader `name`, and print what was found."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        hostile, targets = map(import_module, ("tests.hostile.case", "tests.hostile.targets"))
    for check in control:
        module, called, instead, _ = import_module("tests.hostile.controls").CONTROLS[check]
        setattr(module, called, instead)
    mutated, target, found = (
        import_module("tests.hostile.mutations").mutated,
        targets.TARGETS[name],
        Found(),
    )
    read, seeds = target.reader(folder), _written(target.seeds, folder / "seeds")

    def one(content: bytes) -> None:
        reading = hostile.reading(lambda: read(content), folder, hostile.bounded)
        found.files += 1
        found.taken += reading.said is None
        found.seconds = max(found.seconds, reading.seconds)
        if reading.fault and len(found.faults) < _FAULTS:
            found.faults.append(f"{reading.fault:.300}: {content.hex()}")
        if found.files == files:
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


def _end(found: Found) -> None:
    """Print it; the fuzzer itself has no end."""
    sys.stdout.write(json.dumps(asdict(found)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
