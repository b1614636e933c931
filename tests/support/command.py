"""The command line as tests call it."""

from collections.abc import Callable
from typing import NamedTuple


class Outcome(NamedTuple):
    """What a command line ended with and printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]
