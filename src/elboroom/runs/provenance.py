"""The mark of a result: its beginning says of which model, at which step, it is made.

Training that goes back comes to a step once more, with other weights.
"""

import re
from pathlib import Path

from elboroom.untrusted import open_file

_BEGINNING = 1 << 12  # bytes
_MARK = re.compile(rb'(?:"step": |elboroom, step )(\d+)[, ]')  # the first is of JSON
_MODEL = re.compile(rb'(?:"model": "|, model )([0-9a-f]{16})')


def mark(step: int, model: str | None = None) -> str:
    """What a figure or a page says at its beginning; JSON begins with step and model as they are.

    Args:
        step: of the model.
        model: the first 16 digits of the SHA-256 of its weights, where they are known.
    """
    return f"elboroom, step {step} of the run" + (f", model {model}" if model else "")


def marked_step(path: Path) -> int | None:
    """The step that a file says it is of; None if it does not.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file.
    """
    found = _MARK.search(_beginning(path))
    return int(found[1]) if found else None


def marked_model(path: Path) -> str | None:
    """The digits of its model that a file says; None if it does not.

    Raises:
        OSError, ValueError: as of `marked_step`.
    """
    found = _MODEL.search(_beginning(path))
    return found[1].decode() if found else None


def _beginning(path: Path) -> bytes:
    with open_file(path) as file:
        return file.read(_BEGINNING)
