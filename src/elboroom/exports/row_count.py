"""The number of rows that a program of another library is asked for."""

from typing import Any

from elboroom.errors import UsageError, require_instance, require_positive


def row_count(x: Any, mask: Any, rows: int) -> int:
    """Return the number of rows of x, or else that which is asked for.

    Raises:
        UsageError: `rows` is no whole number of at least 1, or there is a mask without x.
    """
    if x is not None:
        return len(x)
    require_instance("rows", rows, int, fix="give a whole number of rows")
    require_positive(rows=rows)
    if mask is not None:
        raise UsageError(
            "a mask was given without data",
            why="it says which values of x are seen, and x is None",
            fix="give x, or leave the mask out",
        )
    return rows
