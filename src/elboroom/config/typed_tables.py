"""Tables of TOML and JSON, read into dataclasses with strict types.

dacite and cattrs would not make this shorter. Both need a hook for each type here, because they
accept `true` as an int, `{}` as a tuple and 2^63 as a size. Their errors would need new words too.
"""

import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from elboroom.errors import UsageError

_Kind = TypeVar("_Kind")
_MOST = 2**63  # the limit of PyTorch's sizes and of int64 tensors


def read(kind: type[_Kind], table: object) -> _Kind:
    """Make a `kind` of a table that holds its fields by name; lists become tuples.

    Raises:
        UsageError: if it is not a table, a field is unknown or missing, or a value has another
            type.
    """
    if not isinstance(table, dict):
        raise UsageError(
            f"{_short(table)} cannot be used as {kind.__name__}",
            why=f"found a {type(table).__name__}; expected a table of options",
            fix="write it as a table",
        )
    hints = _hints(kind)
    require_known(kind, table)
    missing = [name for name in _required(kind) if name not in table]
    if missing:
        raise UsageError(
            f"{missing[0]} is missing from {kind.__name__}",
            why=f"{kind.__name__} needs {', '.join(_required(kind))}",
            fix=f"add {missing[0]}",
        )
    for name, value in table.items():
        require_type(name, value, hints[name])
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})


def require_types(config: object) -> None:
    """Check that every field of a dataclass has its type, as `read` does for a table.

    Choices are left to `require_choices`, whose errors list them.

    Raises:
        UsageError: if one has another.
    """
    for name, hint in _hints(type(config)).items():
        value = getattr(config, name)
        if get_origin(hint) is not Literal and type(value) is not hint:
            require_type(name, value, hint)


def require_known(kind: type[Any], table: dict[str, Any]) -> None:
    """Check that `kind` has every field that a table names.

    Raises:
        UsageError: if it does not.
    """
    names = _hints(kind).keys()
    unknown = sorted(table.keys() - names)
    if unknown:
        raise UsageError(
            f"unknown option {', '.join(unknown)} in a config",
            why=f"{kind.__name__} has {', '.join(sorted(names))}",
            fix="remove it, or read the run with the version of elboroom that wrote it",
        )


def require_complete(kind: type[Any], table: dict[str, Any]) -> None:
    """Check that a table has every field of `kind`; an absent one means None where that fits.

    Raises:
        UsageError: if it lacks one. Its default may be another value than the one that was lost.
    """
    hints = _hints(kind).items()
    missing = [n for n, hint in hints if n not in table and NoneType not in get_args(hint)]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} is missing from {kind.__name__}",
            why="a default in its place may differ from the value that was used",
            fix="add it, or read the run with the version of elboroom that wrote it",
        )


def require_type(
    name: str, value: object, hint: Any, fix: str = "give a value of that type"
) -> None:
    """Check that a value has the type `hint`; a list passes for a tuple, and an int for a float.

    Integers must fit into 64 bits, and text must be valid Unicode.

    Raises:
        UsageError: if it has another type; `fix` is its fix.
    """
    if not _has_type(value, hint):
        raise UsageError(
            f"{name} cannot be {_short(value)}",
            why=f"it must be of type {_type_name(hint)}",
            fix=fix,
        )


def _has_type(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_has_type(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin is dict:
        entries = value.items() if isinstance(value, dict) else [(None, None)]
        return all(_has_type(k, inner[0]) and _has_type(v, inner[1]) for k, v in entries)
    if origin in (tuple, list):
        return isinstance(value, list | tuple) and all(_has_type(v, inner[0]) for v in value)
    return _CHECKS[hint](value) if hint in _CHECKS else isinstance(value, hint)


_CHECKS: dict[type, Callable[[Any], bool]] = {
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
    except (RecursionError, ValueError):  # nested too deeply, or an int with too many digits
        text = f"a {type(value).__name__}"
    if "\n" in text:  # an array
        return f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
