"""Checkpoints that training deletes while another process reads them."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from elboroom.errors import RunError

_ATTEMPTS = 20
_Arguments = ParamSpec("_Arguments")
_Found = TypeVar("_Found")


class CheckpointDeletedError(Exception):
    """A checkpoint that was deleted after it had been listed."""


def retry_if_deleted(read: Callable[_Arguments, _Found]) -> Callable[_Arguments, _Found]:
    """Call `read` again, with a new listing, if a checkpoint is deleted while it is read."""

    @wraps(read)
    def retried(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Found:
        for _ in range(_ATTEMPTS):
            with suppress(CheckpointDeletedError):
                return read(*arguments, **options)
        raise RunError(
            "every checkpoint is deleted before it can be read",
            why=f"in each of {_ATTEMPTS} attempts, training deleted one that had been listed",
            fix="try again, or train with a larger --checkpoint-minutes",
        )

    return retried
