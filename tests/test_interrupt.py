import os
import signal

import pytest

from elboroom.interrupt import interruptible


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_without_ctrl_c_nothing_is_asked():
    with interruptible() as stop:
        assert not stop()


def test_the_first_ctrl_c_asks_for_a_stop():
    with interruptible() as stop:
        press()
        assert stop()


def test_the_second_ctrl_c_ends_at_once():
    with interruptible():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()


@pytest.mark.parametrize("error", [None, ValueError])
def test_afterwards_ctrl_c_means_what_it_did(error: type[Exception] | None):
    before = signal.getsignal(signal.SIGINT)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) is not before
            if error is not None:
                raise error
    except ValueError:
        pass
    assert signal.getsignal(signal.SIGINT) is before
