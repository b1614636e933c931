"""The errors of elboroom. Each states what happened, why, and how to fix it."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_CHARACTERS = 2_000  # in each of the three parts


class ElboroomError(Exception):
    """The base class of all errors. `exit_code` is the exit status of the command line.

    Example:
        >>> from elboroom import ElboroomError
        >>> try:
        ...     infer.svi(model, x, mask[:, :14], generator=generator)
        ... except ElboroomError as error:
        ...     print(error)
        this mask does not fit the data
          why: its shape (1, 14, 28) does not broadcast to (3, 1, 28, 28)
          fix: give a boolean mask shaped like x, True where a pixel is seen
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        self.what, self.why, self.fix = (printable(text) for text in (what, why, fix))
        super().__init__(f"{self.what}\n  why: {self.why}\n  fix: {self.fix}")


class UsageError(ElboroomError):
    """An option or an argument with an invalid value."""

    exit_code = 2


class NotDrawableError(UsageError):
    """A figure that cannot be drawn for this model or this data."""


class DataError(UsageError):
    """Data that the chosen reader, split or likelihood does not accept."""


class DataMovedError(DataError):
    """Data of a run that are no longer where the run found them."""


class RunError(ElboroomError):
    """A run folder that is missing, incomplete, or in the way of another."""


class DiskError(RunError):
    """A write that the system refused, for example on a full disk. Existing files are unchanged."""


class IncomparableError(UsageError):
    """Two results of different data."""


class EvaluationError(ElboroomError):
    """An evaluation that was stopped before anything was known."""


class TrainingError(ElboroomError):
    """Training that cannot continue, for example because the ELBO is not finite."""


class WorldError(ElboroomError):
    """Processes of one task that cannot reach each other, or were given different tasks."""


def require_positive(**counts: int) -> None:
    """Check that each count, given by its name, is at least 1.

    Raises:
        UsageError: a count is less than 1.
    """
    for name, count in counts.items():
        if count < 1:
            why = f"at least one is needed, and {name} is {count}"
            fix = f"set {name} to 1 or more"
            raise UsageError(f"{name} must be positive", why=why, fix=fix)


def require_not_negative(**numbers: float) -> None:
    """Check that each number, given by its name, is at least 0.

    Raises:
        UsageError: a number is negative.
    """
    for name, number in numbers.items():
        if number < 0:
            why = f"found {name} = {number}; expected 0 or more"
            raise UsageError(f"{name} is negative", why=why, fix=f"set {name} to 0 or more")


def require_instance(name: str, found: object, *kinds: type, fix: str) -> None:
    """Check that an argument, given by its name, is an instance of one of some classes.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(found, kinds):
        expected = " or ".join(f"a {kind.__name__}" for kind in kinds)
        why = f"found {named(found)}; expected {expected}"
        raise UsageError(f"this {name} cannot be used", why=why, fix=fix)


def require_callable(**functions: object) -> None:
    """Check that each function, given by the name of its argument, can be called.

    Raises:
        UsageError: one cannot.
    """
    for name, found in functions.items():
        if not callable(found):
            why = f"found {named(found)}; expected a function"
            raise UsageError(
                f"this {name} cannot be used", why=why, fix="give a function, or omit it"
            )


def missing_library(
    what: str, library: str, extra: str, kind: type[ElboroomError] = UsageError
) -> ElboroomError:
    """Return the error for a library that is not installed, and that an extra brings."""
    return kind(
        what,
        why=f"it needs the library {library}, which is not installed",
        fix=f"install it: pip install 'elboroom[{extra}]'",
    )


@contextmanager
def extra_needed(
    what: str, extra: str, *libraries: str, error: type[ElboroomError] = UsageError
) -> Iterator[None]:
    """Name the extra to install where an import in this block finds no library of it.

    Args:
        what: what cannot be done, as "the explorer cannot start".
        extra: the extra.
        libraries: the packages that it brings, as Python imports them.
        error: class of the error that is raised.

    Raises:
        ElboroomError: a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        library = (missing.name or "").split(".")[0]
        if library not in libraries:
            raise
        raise missing_library(what, library, extra, error) from missing


def named(found: object) -> str:
    """Return a class by its name, and another object by that of its class."""
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"


def command(*words: object) -> str:
    """Return an `elboroom` command line to suggest, quoted for a shell."""
    return shlex.join(["elboroom", *map(str, words)])


def printable(text: str) -> str:
    """Shorten text and escape its control characters for a terminal."""
    return escaped(text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…")


def escaped(text: str) -> str:
    """Escape control characters, by which a hostile file name could control the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
