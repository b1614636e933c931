"""The libraries that the explorer needs, which an extra installs."""

from collections.abc import Iterator
from contextlib import contextmanager

from elboroom.errors import missing_library

_LIBRARIES = ("msgspec", "starlette", "uvicorn")


@contextmanager
def explorer_extra(what: str) -> Iterator[None]:
    """Name the extra to install where an import in this block finds no library of it.

    Args:
        what: "the explorer cannot start", for example.

    Raises:
        UsageError: if a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in _LIBRARIES:
            raise
        raise missing_library(what, error.name, "explore") from error
