"""`elboroom` by several processes, one of which gets into trouble, for `test_torchrun.py`.

The first argument names the trouble; the others are the command line.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from elboroom.cli.main import main
from elboroom.device import joined, world
from elboroom.runs import atomic
from elboroom.runs.checkpoints import listing
from elboroom.training.step import Step

STEP = 8  # at which there is trouble, in the first attempt
_restart = Step.restart


def _at_step(trouble: Any) -> Any:
    def restart(step: Step, number: int) -> None:
        first_attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if number == STEP and world().rank == world().size - 1 and first_attempt:
            trouble()
        _restart(step, number)

    return patch.object(Step, "restart", restart)


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _out_of_memory() -> None:
    raise MemoryError("1 GiB cannot be allocated")


def _full_disk(path: Path, *_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device", str(path))


TROUBLES = {
    "none": lambda: patch.dict(os.environ),
    "killed": lambda: _at_step(_killed),
    "terminated": lambda: _at_step(_terminated),
    "memory": lambda: _at_step(_out_of_memory),
    "disk": lambda: patch.object(atomic, "make_folder", _full_disk),
}


def _older(original: Any) -> Any:
    """Let ranks but the first find the checkpoint before the newest, as while a run is trained."""

    def newest_first(folder: Path) -> list[Path]:
        found = original(folder)
        return found if world().is_first else found[1:]

    return newest_first


def commands(lines: list[str]) -> None:
    """Run several command lines in one world, one after the other, beside a run in training."""
    older = patch.object(listing, "newest_first", _older(listing.newest_first))
    with joined(), older:
        for line in lines:
            try:
                main(line.split(" "))
            except SystemExit as end:
                if end.code:
                    raise


if __name__ == "__main__":
    trouble, *arguments = sys.argv[1:]
    if trouble == "commands":
        commands(arguments)
    else:
        with TROUBLES[trouble]():
            main(arguments)
