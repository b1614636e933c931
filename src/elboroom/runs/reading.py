"""Errors of reading the files of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elboroom.errors import RunError, UsageError


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Re-raise any error of reading `path` in this block as a `RunError` that names the file.

    Raises:
        RunError: if the file cannot be read, or holds something else than expected.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, UsageError) as error:
        raise RunError(
            f"{path} cannot be read",
            why=str(error).replace("\n  why: ", ": ").splitlines()[0],
            fix="restore it from where the run was made, or delete it",
        ) from error
