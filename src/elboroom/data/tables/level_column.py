"""The rules for columns of levels."""

from collections.abc import Iterable, Sequence

from elboroom.config.kinds import ColumnType
from elboroom.data.labels import in_natural_order
from elboroom.data.tables.cells import level_key
from elboroom.data.tables.column import Column, option, refused
from elboroom.data.tables.found import Found
from elboroom.data.tables.listing import MOST_SHOWN, listed, shortened

MOST_LEVELS = 10_000
"""The most levels of any column."""


def level_column(found: Found, kind: ColumnType) -> Column:
    """Return a column of levels.

    Raises:
        DataError: if it has too many, others than those that are said, or no order.
    """
    present = _found_levels(found)
    levels = present if found.said.levels is None else _said_levels(found, present)
    _require_order(found, kind, levels)
    if len(levels) > MOST_LEVELS:
        raise refused(
            found.name,
            f"found {len(levels):,} levels; expected at most {MOST_LEVELS:,}",
            f"leave it out: {option(found.name, 'type', 'ignore')}",
        )
    why = f"{len(levels)} levels: {shortened(levels)}"
    if kind == "binary":
        why = f"two values: {shortened(levels)}"
    if kind == "ordinal":
        why = f"{len(levels)} levels in order: {shortened(levels)}"
    likelihood = (found.said.likelihood or "").partition(":")[0]
    return Column(found.name, kind, levels=levels, likelihood=likelihood, why=why)


def _found_levels(found: Found) -> tuple[str, ...]:
    if found.cells.categories is not None:
        present = {level_key(value) for value in found.cells.values}
        keys = dict.fromkeys(map(level_key, found.cells.categories))
        ordered = [key for key in keys if key in present]
        return tuple(ordered if found.cells.ordered else _sorted(ordered))
    return tuple(_sorted(dict.fromkeys(map(level_key, found.cells.values))))


def _said_levels(found: Found, present: Sequence[str]) -> tuple[str, ...]:
    said = tuple(map(level_key, found.said.levels or ()))
    unknown = [level for level in present if level not in said]
    if unknown:
        raise refused(
            found.name,
            f"found {listed(unknown)}, which its levels do not name",
            f"add them to {option(found.name, 'levels', said)}, or say that they are missing: "
            + option(found.name, "missing", unknown[:MOST_SHOWN]),
        )
    return said


def _require_order(found: Found, kind: ColumnType, levels: Sequence[str]) -> None:
    ordered = found.cells.ordered or found.said.levels is not None
    if kind == "ordinal" and not ordered and found.numbers is None:
        raise refused(
            found.name,
            f"the order of its levels is not known: {shortened(levels)}",
            f"say them in their order: {option(found.name, 'levels', levels)}",
        )


def _sorted(levels: Iterable[str]) -> list[str]:
    """Return levels in ascending order if they are numbers, else in natural order."""
    try:
        return sorted(levels, key=float)
    except ValueError:
        return in_natural_order(levels)
