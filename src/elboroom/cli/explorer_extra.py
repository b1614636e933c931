"""The libraries that the explorer needs, which an extra installs."""

from contextlib import AbstractContextManager

from elboroom.errors import extra_needed


def explorer_extra(what: str) -> AbstractContextManager[None]:
    """Name the extra to install where an import in this block finds no library of it.

    Args:
        what: "the explorer cannot start", for example.

    Raises:
        UsageError: if a library is not installed.
    """
    return extra_needed(what, "explore", "msgspec", "starlette", "uvicorn")
