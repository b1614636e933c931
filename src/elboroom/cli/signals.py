"""Signals: Ctrl-C, SIGTERM and SIGUSR1 end a command, training at the end of a step."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)


class Interrupted(KeyboardInterrupt):
    """A signal ends the command at once; `exit_code` is what the command line ends with."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = _exit_code(number)


class Stop:
    """Asked after each step of training whether to stop there.

    Until it is first asked no step has begun that would be worth an end, and a signal raises
    `Interrupted`. From then on the first signal asks for a clean stop. After it Ctrl-C raises
    `Interrupted`; the other signals, which schedulers repeat, change nothing.

    Attributes:
        asked: whether it was.
        number: of the signal that asked for a stop, None while none has.
    """

    def __init__(self) -> None:
        self.asked = False
        self.number: int | None = None

    def __call__(self) -> bool:
        """Whether to stop."""
        self.asked = True
        return self.number is not None

    @property
    def exit_code(self) -> int:
        """What the command line ends with: 0, or 128 + the number of the signal."""
        return 0 if self.number is None else _exit_code(self.number)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            Interrupted: it is an end at once that is asked for.
        """
        again = self.number is not None
        self.number = self.number or number
        if not self.asked or (again and number == signal.SIGINT):
            raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Yield what tells, within the context, whether a signal asked for a stop, and which."""
    stop = Stop()
    with _handled_by(stop.receive):
        yield stop


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the context a signal raises `Interrupted`."""

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


def _exit_code(number: int) -> int:
    return 128 + number
