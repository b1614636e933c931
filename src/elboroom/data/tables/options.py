"""Options that say the types of columns: a dict, or a file of --columns."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from elboroom.config.kinds import ColumnType
from elboroom.config.typed_tables import require_type
from elboroom.data.tables.column import option, refused, shown, types
from elboroom.errors import DataError
from elboroom.untrusted import parse_toml, read_bytes

_LARGEST = 64 << 20  # bytes of a file
_DELIMITER = "delimiter"
WHOLE = "every-column-is-here"
"""The key by which TOML says that it has a whole schema; no column has this name."""


@dataclass(frozen=True)
class ColumnOptions:
    """The options of one column; None where nothing is said.

    Attributes:
        type: its type.
        levels: its levels in their order; numbers, text or booleans.
        likelihood: its likelihood.
        missing: entries that mean missing, beside the words that always do.
        origin: what is subtracted of its numbers.
        decimals: decimals of its numbers.
        decimal: the mark before them in text.
        format: the format of its dates.
        why: the reason for its type.
    """

    type: ColumnType | None = None
    levels: tuple[str | float | bool, ...] | None = None
    likelihood: str | None = None
    missing: tuple[str | float, ...] = ()
    origin: float | None = None
    decimals: int | None = None
    decimal: str | None = None
    format: str | None = None
    why: str | None = None

    @classmethod
    def of(cls, name: str, given: object) -> "ColumnOptions":
        """Check the options of a column, which are a type or a table.

        Raises:
            DataError: if one is unknown or has another type.
        """
        if isinstance(given, cls):
            return given
        table = {"type": given} if isinstance(given, str) else given
        if not isinstance(table, Mapping):
            raise refused(
                name,
                f"found a {type(given).__name__} for it; expected a type or a table of options",
                f"say its type: {option(name, 'type', 'real')}",
            )
        _require_options(name, table)
        tuples = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
        return cls(**cast("dict[str, Any]", tuples))


def given_columns(given: object) -> dict[str, ColumnOptions]:
    """Return the options of columns by name.

    Args:
        given: a dict of a type, a table or a `ColumnOptions` for each column, the path of a TOML
            file of such tables, or None for no options.

    Raises:
        DataError: if it cannot be read, or an option is unknown.
    """
    if given is None:
        return {}
    tables = given if isinstance(given, Mapping) else parsed(*_read(Path(str(given))))
    by_file = not isinstance(given, Mapping)
    return {
        name: ColumnOptions.of(name, table)
        for name, table in tables.items()
        if not by_file
        or isinstance(table, Mapping)
        or (name not in (_DELIMITER, WHOLE) or table in types())
    }


def given_delimiter(given: object) -> str | None:
    """Return what parts the cells of text, if a file of options says it.

    Raises:
        DataError: if the file cannot be read, or this is not one character.
    """
    if given is None or isinstance(given, Mapping):
        return None
    found = parsed(*_read(Path(str(given)))).get(_DELIMITER)
    if found is None or isinstance(found, Mapping) or found in types():
        return None
    if not isinstance(found, str) or len(found) != 1 or found in '"\n\r':
        raise DataError(
            f"the delimiter {found!r} cannot be used",
            why="expected one character, and no quote",
            fix='say it as in delimiter = ";"',
        )
    return found


def complete_text(given: object) -> str | None:
    """Return the content of a file that says a whole schema; None for other options.

    Raises:
        DataError: if it is a file that cannot be read.
    """
    if given is None or isinstance(given, Mapping):
        return None
    text, where = _read(Path(str(given)))
    return text if parsed(text, where).get(WHOLE) is True else None


def parsed(text: str, where: str = "this text") -> dict[str, Any]:
    """Return the tables of TOML that says columns.

    Raises:
        DataError: if it is no TOML.
    """
    try:
        return parse_toml(text.encode())
    except ValueError as error:
        raise DataError(
            f"cannot read the columns of {where}",
            why=str(error),
            fix='write TOML, a line for each option, such as age.type = "count"',
        ) from error


def _read(path: Path) -> tuple[str, str]:
    try:
        return read_bytes(path.expanduser(), _LARGEST).decode(), str(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read the columns of {path}",
            why=str(error),
            fix="give the path of a TOML file for --columns, or auto",
        ) from error


def _require_options(name: str, table: Mapping[str, Any]) -> None:
    hints = {
        "type": str,
        "levels": tuple[str | float | bool, ...],
        "missing": tuple[str | float, ...],
        "origin": float,
        "decimals": int,
    }
    known = [field.name for field in fields(ColumnOptions)]
    unknown = sorted(set(table) - {*known})
    if unknown:
        raise refused(
            name, f"found the option {unknown[0]}; expected {', '.join(known)}", "remove it"
        )
    for key, value in table.items():
        require_type(f"{shown(name)}.{key}", value, hints.get(key, str))
    _require_choice(name, "type", table.get("type", "real"), types())
    _require_choice(name, "decimal", table.get("decimal", "."), (".", ","))


def _require_choice(name: str, key: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise refused(
            name,
            f"found the {key} {found!r}; expected {', '.join(known)}",
            f"say one of them: {option(name, key, known[0])}",
        )
