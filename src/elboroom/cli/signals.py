"""Signals: Ctrl-C, SIGTERM and SIGUSR1 end a command; training ends after a step."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1")
SIGNALS = tuple(s for s in signal.Signals if s.name in _NAMES)  # Windows has no SIGUSR1


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command at once.

    Attributes:
        exit_code: exit code of the command line.
        by_user: True for Ctrl-C.
    """

    def __init__(self, number: int, known: str = "") -> None:
        """Name the signal, and say what is known of the work that it ended, if anything."""
        what = f"interrupted by {signal.Signals(number).name}"
        super().__init__(f"{what}: {known}" if known else what)
        self.exit_code, self.by_user = exit_code(number), number == signal.SIGINT


class Stop:
    """A request to stop training; training calls this object after each step.

    Before the first call there is nothing to save, and a signal raises `Interrupted`. After it, the
    first signal requests a clean stop. A later Ctrl-C raises `Interrupted`; other signals are then
    ignored, because schedulers repeat them. Torchrun repeats Ctrl-C too.

    Attributes:
        asked: True once training has called this object.
        number: number of the signal that requested the stop, or None.
    """

    def __init__(self) -> None:
        self.asked = False
        self.number: int | None = None

    def __call__(self) -> bool:
        """Return True if training must stop."""
        self.asked = True
        return self.number is not None

    @property
    def exit_code(self) -> int:
        """The exit code of the command line: 0, or 128 + the number of the signal."""
        return 0 if self.number is None else exit_code(self.number)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            Interrupted: if the command must end at once.
        """
        again = self.number is not None
        self.number = self.number or number
        repeated = "TORCHELASTIC_RUN_ID" in os.environ
        if not self.asked or (again and number == signal.SIGINT and not repeated):
            raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Yield a `Stop` that signals set within the context."""
    stop = Stop()
    with _handled_by(stop.receive):
        yield stop


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise `Interrupted` at a signal within the context."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handled_by(end):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def exit_code(number: int) -> int:
    """Return the exit code of a command that a signal ends, as shells count it."""
    return 128 + number
