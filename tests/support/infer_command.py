"""`elboroom infer` as tests run it."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.support.command import Command
from tests.support.outcomes import error


def inferred(elboroom: Command, run: Path, out: Path, *options: object) -> dict[str, Any]:
    """Return the arrays that `elboroom infer` writes."""
    outcome = elboroom("infer", run, "--out", out, *options)
    assert (outcome.code, outcome.err) == (0, "")
    with np.load(out, allow_pickle=False) as file:
        return dict(file)


def refused(elboroom: Command, run: Path, out: Path, *options: object, code: int = 2) -> list[str]:
    """Return the error of a refused command, and check that it writes no file."""
    before = sorted(out.parent.glob("*")) if out.parent.exists() else []
    found = error(elboroom("infer", run, "--out", out, *options), code)
    assert before == (sorted(out.parent.glob("*")) if out.parent.exists() else [])
    return found
