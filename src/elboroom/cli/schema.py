"""`elboroom schema`: the JSON Schema of what a command prints with --json."""

import json
import re
from importlib.resources import files
from typing import Any

from elboroom.config.kinds import JsonCommand

_SHARED = "definitions"
_REFERENCE = re.compile(r'"#/\$defs/(\w+)"')


def schema(command: JsonCommand) -> dict[str, Any]:
    """Return the schema of a command's JSON, draft 2020-12, with all that it refers to.

    Numbers have the units that the descriptions state, mostly nats per image or row.
    """
    found = _read(command)
    shared, own = _read(_SHARED), found.pop("$defs", {})
    return found | {"$defs": _referred_to(found, shared | own)}


def _referred_to(content: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the definitions that some content refers to, and those that they refer to."""
    found, names = dict[str, Any](), _names(content)
    while names:
        found |= {name: definitions[name] for name in names}
        names = _names(found) - found.keys()
    return dict(sorted(found.items()))


def _names(content: Any) -> set[str]:
    return set(_REFERENCE.findall(json.dumps(content)))


def _read(name: str) -> dict[str, Any]:
    file = files("elboroom.cli") / "schemas" / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8"))
