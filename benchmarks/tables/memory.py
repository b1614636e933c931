"""What was measured once, as JSON lines beside the results, so that a long run can go on."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.tables import imputers

_FILE = Path(__file__).parents[1] / "results" / "tables.jsonl"


def remembered(method: str, what: dict[str, Any], compute: Callable[[], Any]) -> Any:
    """Return what is on disk for a method and a measurement, or else compute and keep it.

    What another version of elboroom measured does not count; see `imputers.version`.

    Args:
        method: one of `imputers.NAMES`.
        what: the measurement, as JSON.
        compute: returns its result, as JSON.
    """
    key = {"method": method, "version": imputers.version(method)} | what
    found = _read(_FILE).get(_text(key))
    return found if found is not None else _keep(key, compute())


def known(method: str, what: dict[str, Any]) -> Any | None:
    """Return what is on disk for a method and a measurement; None if it was not measured."""
    return _read(_FILE).get(_text({"method": method, "version": imputers.version(method)} | what))


def _keep(key: dict[str, Any], result: Any) -> Any:
    _FILE.parent.mkdir(parents=True, exist_ok=True)
    with _FILE.open("a") as file:
        file.write(json.dumps({"key": key, "result": result}) + "\n")
    return result


def _read(file: Path) -> dict[str, Any]:
    """Return all results on disk by the text of their keys."""
    if not file.exists():
        return {}
    return _parsed(file.read_text())


@cache
def _parsed(text: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in text.splitlines()]
    return {_text(line["key"]): line["result"] for line in lines}


def _text(key: dict[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
