"""The JSON of the commands, checked against their schemas wherever a test reads it."""

import json
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np

from elboroom.cli.schema import schema
from elboroom.config.kinds import JsonCommand
from tests.support.command import Outcome

EVALUATION = "evaluation.json"


@cache
def _validator(command: JsonCommand) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(command))


def strict(text: str) -> Any:
    """Read JSON, in which NaN and Infinity are errors."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def faults(command: JsonCommand, content: Any) -> list[str]:
    """Return how some content breaks the schema of a command."""
    return [f"{e.json_path}: {e.message}" for e in _validator(command).iter_errors(content)]


def is_valid(command: JsonCommand, content: Any) -> bool:
    """Return True if some content fits the schema of a command."""
    return _validator(command).is_valid(content)


def written_evaluation(arguments: Sequence[str]) -> bytes | None:
    """Return the evaluation.json of the run that a command names, if it has one."""
    found = [Path(word) / EVALUATION for word in arguments[1:2]]
    return next((path.read_bytes() for path in found if path.is_file()), None)


def require_schema(arguments: Sequence[str], outcome: Outcome, before: bytes | None) -> None:
    """Check what a command printed as JSON, and what it wrote of the same.

    Args:
        arguments: those of the command.
        outcome: what it printed.
        before: the evaluation.json before it.
    """
    command: Any = arguments[0] if arguments else ""
    if "--json" in arguments and outcome.out:
        assert command in get_args(JsonCommand)
        _require(command, strict(outcome.out))
    written = written_evaluation(arguments) if command in ("evaluate", "report") else None
    if written != before and written is not None:
        _require("evaluate", strict(written.decode()))
    if command in ("evaluate", "complete", "infer") and outcome.code == 0:
        _require_summary(command, arguments)


def _require_summary(command: JsonCommand, arguments: Sequence[str]) -> None:
    """Check the summary in the file that --out names, which is what --json prints of it."""
    outs = [Path(b) for a, b in pairwise(arguments) if a == "--out" and b.endswith(".npz")]
    for out in outs:
        with np.load(out, allow_pickle=False) as file:
            summary = strict(str(file["summary"]))
        _require(command, summary if command == "evaluate" else summary | {"file": str(out)})


def _require(command: JsonCommand, content: Any) -> None:
    found = faults(command, content)
    assert found == [], found
