import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from elboroom.cli.signals import SIGNALS, Interrupted, ended_by_signals, interruptible

# SIGUSR1 is 10 in Linux and 30 in macOS.
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 128 + signal.SIGUSR1}


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@contextmanager
def ended(code: int) -> Iterator[None]:
    """Check that a signal in this block ends the command with exit code `code`."""
    with pytest.raises(Interrupted) as end:
        yield
    assert end.value.exit_code == code


def test_these_signals_are_handled():
    assert set(SIGNALS) == CODES.keys()


def test_without_a_signal_no_stop_is_requested():
    with interruptible() as stop:
        assert not stop()
    assert (stop.number, stop.exit_code) == (None, 0)


@pytest.mark.parametrize("number", CODES)
def test_the_first_signal_requests_a_stop_and_is_recorded(number: int):
    with interruptible() as stop:
        assert not stop()
        press(number)
        assert stop()
    assert (stop.number, stop.exit_code) == (number, CODES[signal.Signals(number)])


@pytest.mark.parametrize("number", CODES)
def test_before_the_first_step_a_signal_ends_at_once(number: int):
    with interruptible() as stop:
        with ended(CODES[signal.Signals(number)]):
            press(number)
        assert not stop.asked
        assert stop()  # the exception may have been caught by accident


@pytest.mark.parametrize("first", CODES)
def test_after_any_signal_ctrl_c_ends_at_once(first: int):
    with interruptible() as stop:
        stop()
        press(first)
        with ended(130):
            press()
    assert stop.number == first


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGUSR1])
def test_repeated_signals_of_a_scheduler_change_nothing(again: int):
    with interruptible() as stop:
        stop()
        press(signal.SIGTERM)
        press(again)
        assert stop()
    assert stop.exit_code == 143


@pytest.mark.parametrize("number", CODES)
def test_elsewhere_a_signal_ends_the_command(number: int):
    with ended_by_signals(), ended(CODES[signal.Signals(number)]):
        press(number)


@pytest.mark.parametrize("error", [None, ValueError])
@pytest.mark.parametrize("context", [interruptible, ended_by_signals])
def test_afterwards_the_old_handlers_are_back(context, error: type[Exception] | None):
    before = [signal.getsignal(number) for number in CODES]
    try:
        with context():
            during = [signal.getsignal(number) for number in CODES]
            assert all(a is not b for a, b in zip(during, before, strict=True))
            if error is not None:
                raise error
    except ValueError:
        pass
    assert [signal.getsignal(number) for number in CODES] == before
