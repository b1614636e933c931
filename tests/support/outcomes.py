"""Readers of the output and the files of a command."""

import json
from pathlib import Path
from typing import Any

from tests.support.command import Outcome


def error(outcome: Outcome, code: int) -> list[str]:
    """Return the what, why and fix of an error that ended with `code` and printed nothing else."""
    assert (outcome.code, outcome.out) == (code, "")
    what, why, fix = outcome.err.removesuffix("\n").split("\n")
    assert what.startswith("error: ")
    assert why.startswith("  why: ")
    assert fix.startswith("  fix: ")
    return [what[7:], why[7:], fix[7:]]


def metrics(run: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl without its timing."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k != "images_per_second"} for x in lines]


def last_checkpoint(run: Path) -> dict[str, bytes]:
    newest = max((run / "checkpoints").iterdir())
    return {path.name: path.read_bytes() for path in newest.iterdir()}
