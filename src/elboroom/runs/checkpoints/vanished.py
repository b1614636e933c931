"""Checkpoints that training removes while others read them: what is gone was never listed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from elboroom.errors import RunError

_LOOKS = 20
_Arguments = ParamSpec("_Arguments")
_Found = TypeVar("_Found")


class GoneError(Exception):
    """A checkpoint was removed after it had been listed."""


@contextmanager
def there(path: Path) -> Iterator[None]:
    """What cannot be read of a checkpoint that is no longer there says nothing of it."""
    try:
        yield
    except Exception as error:
        if path.exists():
            raise
        raise GoneError from error


def steady(look: Callable[_Arguments, _Found]) -> Callable[_Arguments, _Found]:
    """`look` begins anew where training removes a checkpoint that it has listed."""

    @wraps(look)
    def again(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Found:
        for _ in range(_LOOKS):
            with suppress(GoneError):
                return look(*arguments, **options)
        raise RunError(
            "no checkpoint stays until it is read",
            why=f"{_LOOKS} times, one that was listed had been removed before that",
            fix="try again, or train with a larger --checkpoint-minutes",
        )

    return again
