"""Words and levels in a line of text."""

from collections.abc import Sequence

from elboroom.data.tables.cells import level_key

MOST_SHOWN = 6
_LONGEST = 40  # characters


def short(value: object) -> str:
    """Return a value as text that is not too long."""
    text = level_key(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def shortened(levels: Sequence[str]) -> str:
    """Name the first levels and the last one."""
    names = [short(level) for level in levels]
    if len(names) <= 2 * MOST_SHOWN:
        return ", ".join(names)
    return ", ".join([*names[:MOST_SHOWN], "…", names[-1]])


def listed(words: Sequence[object]) -> str:
    """Name the first words, and count the others."""
    names = ", ".join(map(short, words[:MOST_SHOWN]))
    more = len(words) - MOST_SHOWN
    return names + (f" and {more:,} more" if more > 0 else "")
