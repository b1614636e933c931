"""What elboroom raises: every error says what happened, why, and how to mend it."""

_MOST = 2_000  # characters of each part


class ElboroomError(Exception):
    """A failed run. `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        self.what, self.why, self.fix = (told(text) for text in (what, why, fix))
        super().__init__(f"{self.what}\n  why: {self.why}\n  fix: {self.fix}")


class UsageError(ElboroomError):
    """An option or an argument that cannot be meant."""

    exit_code = 2


class NotDrawableError(UsageError):
    """A figure that this model or this data does not have."""


class DataError(UsageError):
    """Data that the chosen reader, split or likelihood cannot take."""


class RunError(ElboroomError):
    """A run folder that is missing, in the way, or not whole."""


class DiskError(RunError):
    """What the system does not let us write, as on a full disk; what was there before still is."""


class IncomparableError(UsageError):
    """Two results that do not speak of the same data."""


class TrainingError(ElboroomError):
    """Training that cannot go on, such as an ELBO that is no longer finite."""


def require_positive(**counts: int) -> None:
    """Check arguments that count something, by their names.

    Raises:
        UsageError: one of them is less than 1.
    """
    for name, count in counts.items():
        if count < 1:
            why = f"at least one is needed, and {name} is {count}"
            raise UsageError(f"{name} must be positive", why=why, fix=f"give {name} of 1 or more")


def told(text: str) -> str:
    """For a terminal, which would obey the control characters that a file of others may name."""
    text = text if len(text) <= _MOST else f"{text[:_MOST]}…"
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
