"""Tables of named columns ⇄ encoded rows of numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elboroom.data.tables.column import Column
    from elboroom.data.tables.frames import as_frame
    from elboroom.data.tables.schema import Schema

# Imported on first use: a schema is read without pandas, which is an extra.
_HOMES = {
    "Column": "column",
    "Schema": "schema",
    "as_frame": "frames",
}

__all__ = ["Column", "Schema", "as_frame"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'elboroom.data.tables' has no attribute {name!r}")
    return getattr(import_module(f"elboroom.data.tables.{_HOMES[name]}"), name)
