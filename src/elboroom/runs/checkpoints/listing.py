"""The checkpoints of a folder: step-000123, and step-000123-2 for the second one at that step.

Training that is rolled back reaches a step again. Its later checkpoint takes the next number, so
that no folder is ever replaced.
"""

import os
import re
from pathlib import Path

_NAME = re.compile(r"step-(\d{6,})(?:-(\d+))?")


def name(step: int, number: int = 1) -> str:
    """Return the name of the checkpoint with that number at a step; numbers start at 1."""
    return f"step-{step:06d}" + (f"-{number}" if number > 1 else "")


def position(path: Path) -> tuple[int, int]:
    """Return the step and the number in the name of a checkpoint."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        raise ValueError(f"{path.name} is not the name of a checkpoint")
    return int(found[1]), int(found[2] or 1)


def step_of(path: Path) -> int:
    """Return the step in the name of a checkpoint."""
    return position(path)[0]


def newest_first(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, whole or not.

    Links are left out, because elboroom writes none.
    """
    named = [path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)]
    own = [path for path in named if not os.path.islink(path)]
    return sorted(own, key=position, reverse=True)


def newest_step(folder: Path) -> int | None:
    """Return the step of the newest checkpoint, whole or not; None if there is none."""
    return next(map(step_of, newest_first(folder)), None)


def newest_at(folder: Path, step: int) -> Path | None:
    """Return the newest checkpoint at a step; None if there is none."""
    return next((path for path in newest_first(folder) if step_of(path) == step), None)


def next_path(folder: Path, step: int) -> Path:
    """Return the path of a new checkpoint at a step."""
    last = newest_at(folder, step)
    return folder / name(step, 1 if last is None else position(last)[1] + 1)
