"""Tables, as TOML and JSON have them, read back into dataclasses: names and types are checked."""

import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from elboroom.errors import UsageError

_Kind = TypeVar("_Kind")
_MOST = 2**63  # what a tensor can hold, and what PyTorch takes as a size


def read(kind: type[_Kind], table: object) -> _Kind:
    """The dataclass `kind` of a table that has its fields by name; lists become tuples.

    Raises:
        UsageError: no table, an unknown or a missing field, or a value of another type.
    """
    if not isinstance(table, dict):
        raise UsageError(
            f"{_short(table)} cannot be used as {kind.__name__}",
            why="it is a value, and no table of options",
            fix="give the options by their names",
        )
    hints = _hints(kind)
    if table.keys() - hints.keys():
        raise UsageError(
            f"unknown option {', '.join(sorted(table.keys() - hints.keys()))} in a config",
            why=f"{kind.__name__} has {', '.join(sorted(hints))}",
            fix="remove it, or read the run with the version of elboroom that wrote it",
        )
    missing = [name for name in _required(kind) if name not in table]
    if missing:
        raise UsageError(
            f"{kind.__name__} has no {missing[0]}",
            why=f"it is made of {', '.join(_required(kind))}",
            fix="give it",
        )
    for name, value in table.items():
        require_type(name, value, hints[name])
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})


def require_type(name: str, value: object, hint: Any) -> None:
    """That a value, whose tuples may be lists, is of the type that `hint` says.

    An int stands for a float too, and numbers are those that PyTorch can take.

    Raises:
        UsageError: it is not.
    """
    if not _fits(value, hint):
        raise UsageError(
            f"{name} cannot be {_short(value)}",
            why=f"it must be of type {_spelled(hint)}",
            fix="correct it where it is written",
        )


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin is dict:
        entries = value.items() if isinstance(value, dict) else [(None, None)]
        return all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in entries)
    if origin in (tuple, list):
        return isinstance(value, list | tuple) and all(_fits(v, inner[0]) for v in value)
    return _FITS[hint](value)


_FITS: dict[type, Callable[[Any], bool]] = {
    NoneType: lambda value: value is None,
    bool: lambda value: isinstance(value, bool),
    int: lambda value: type(value) is int and -_MOST <= value < _MOST,
    float: lambda value: (
        isinstance(value, float) or (type(value) is int and abs(value) <= sys.float_info.max)
    ),
    str: lambda value: isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value),
}


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _required(kind: type[Any]) -> tuple[str, ...]:
    found = fields(kind)
    missing = (f for f in found if f.default is MISSING and f.default_factory is MISSING)
    return tuple(f.name for f in missing)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # too deep, or of too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
