"""The command line as tests call it."""

from collections.abc import Callable
from typing import NamedTuple


class Outcome(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]
