"""One reader on files that atheris mutates, guided by the lines that they reach, in one process.

`python -m benchmarks.fuzzer TARGET FILES FOLDER [CONTROL]` prints JSON. TARGET is a name in
`tests/hostile/targets.py`, and FOLDER is empty. CONTROL names a check in
`tests/hostile/controls.py` that is disabled.
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
_LONGEST = 1 << 14  # bytes of a mutated file; valid ones are shorter
_HANGS = 60  # seconds
_FAULTS = 10  # how many are reported


@dataclass
class Found:
    """The result for one reader.

    Attributes:
        files: number of files that it read.
        taken: number of files that it did not refuse.
        faults: the first faults found.
        seconds: longest time for one file.
    """

    files: int = 0
    taken: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main(name: str, files: int, folder: Path, *control: str) -> None:
    """Read `files` mutated files by the reader `name`, and print what was found."""
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
        """Mutate a valid file, or as often one that led to new lines; the latter grow shorter."""
        random = Random(seed)
        if random.random() < 0.5:
            return mutated(random.choice(list(target.seeds.values())), random)[:most]
        return atheris.Mutate(content, most)

    artefacts = folder / "artefacts"  # files that libFuzzer writes when it crashes or hangs
    artefacts.mkdir()
    options = [
        *(f"-max_len={_LONGEST}", f"-timeout={_HANGS}", f"-artifact_prefix={artefacts}/"),
        *("-rss_limit_mb=0", "-verbosity=0"),
    ]
    atheris.Setup([sys.argv[0], "-seed=1", *options, str(seeds)], one, custom_mutator=mutate)
    atheris.Fuzz()


def _written(seeds: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
    return folder


def _end(found: Found) -> None:
    """Print the result and exit; the fuzzer itself never returns."""
    sys.stdout.write(json.dumps(asdict(found)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
