"""Ctrl-C in long work from Python: what is at work ends first, so that nothing is lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True once Ctrl-C was pressed within the context.

    A second Ctrl-C raises `KeyboardInterrupt` at once. Where the program handles SIGINT itself, and
    outside of the main thread, nothing is changed and the function returns False.
    """
    pressed = False

    def receive(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if not _is_default():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, receive)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_default() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
