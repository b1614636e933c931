"""Errors of reading the files of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elboroom.errors import RunError, UsageError

_FIX = "restore it from where the run was made, or delete it"


@contextmanager
def read_errors(path: Path, fix: str = _FIX) -> Iterator[None]:
    """Raise a `RunError` that names `path` instead of any error of reading it in this block.

    Raises:
        RunError: if the file cannot be read, or does not hold what is expected.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, UsageError) as error:
        raise RunError(
            f"{path} cannot be read",
            why=str(error).replace("\n  why: ", ": ").splitlines()[0],
            fix=fix,
        ) from error
