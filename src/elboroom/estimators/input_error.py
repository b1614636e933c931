"""The InputError: what scikit-learn expects of X or of a parameter that cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager

from elboroom.errors import DataError, UsageError


class InputError(DataError, ValueError):
    """An X or a parameter that an estimator does not accept; it is a ValueError too."""


@contextmanager
def input_errors() -> Iterator[None]:
    """Raise errors of usage as ValueErrors, which tools of scikit-learn catch.

    Raises:
        InputError: if the block raises a UsageError.
    """
    try:
        yield
    except UsageError as error:
        raise InputError(error.what, why=error.why, fix=error.fix) from error
