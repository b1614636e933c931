"""The mark of a result: its beginning says of which step the model was that it is made of."""

import re
from pathlib import Path

from elboroom.foreign import open_file

_BEGINNING = 1 << 12  # bytes
_MARK = re.compile(rb'(?:"step": |elboroom, step )(\d+)[, ]')  # the first is of JSON


def mark(step: int) -> str:
    """What a figure or a page says at its beginning; JSON begins with its step as it is."""
    return f"elboroom, step {step} of the run"


def marked_step(path: Path) -> int | None:
    """The step that a file says it is of; None if it does not.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file.
    """
    with open_file(path) as file:
        found = _MARK.search(file.read(_BEGINNING))
    return int(found[1]) if found else None
