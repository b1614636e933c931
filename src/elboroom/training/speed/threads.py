"""The number of processor threads of a step: all, or one while another process keeps a core.

Threads wait for each other at barriers. If another process keeps one of two cores, steps by two
threads take several times as long as by one. Of steps of a millisecond most are as fast as ever,
and a few wait for a tenth of a second, until the other process yields the core.
"""

import math
import statistics
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from elboroom.config import TrainConfig
from elboroom.training.step import FastStep

_COLD_STEPS = 3  # the first steps are slow whatever the number of threads
_TURN = 0.1  # seconds; a turn of steps is at least as long as another process keeps a core
_AGREEING = 2  # turns in a row that must say the same, as one of them may have a hiccup
# One thread is chosen only if it takes less than this share of the time of all threads, because
# changing the number of threads changes rounding.
_FASTER = 0.9
_SLOWER = 1.4  # steps this much slower than usual start another trial
_PAUSE = 20  # durations of a turn by all threads until the next, while one is used
_PRODUCTS = 6  # that are timed; the first wakes or parks threads and is not counted
SIDE = 1_024
"""Side of the square matrices whose product is timed."""


@contextmanager
def restore_thread_count() -> Iterator[None]:
    """Restore PyTorch's number of threads after this block."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def thread_choices(
    most: int, clock: Callable[[], float] = time.perf_counter
) -> Generator[int, float, None]:
    """Yield the number of threads of the next step; expect to be sent the seconds that it took.

    All threads and one thread are timed at the start, when steps slow down, and now and then while
    one is used.

    Args:
        most: number of all threads.
        clock: a clock in seconds.
    """
    for _ in range(_COLD_STEPS):
        yield most
    while True:
        count, usual = yield from _trial(most)
        if count == most:
            yield from _until_slower(most, usual, clock)
        else:
            yield from _until_free(most, usual, clock)


def _until_free(
    most: int, of_one: float, clock: Callable[[], float]
) -> Generator[int, float, None]:
    """Use one thread until it becomes slower, or all threads are as fast in a turn."""
    pause, slower = _PAUSE * _TURN, False
    while not slower:
        slower = yield from _until_slower(1, of_one, clock, until=clock() + pause)
        began = clock()
        of_all = yield from _turn(most)
        pause = _PAUSE * (clock() - began)
        slower |= of_one >= _FASTER * of_all


def _until_slower(
    count: int, usual: float, clock: Callable[[], float], until: float = math.inf
) -> Generator[int, float, bool]:
    """Use a number of threads until a time; return whether their steps became slower before."""
    slow = 0
    while slow < _AGREEING and clock() < until:
        found = yield from _turn(count)
        slow = slow + 1 if found > _SLOWER * usual else 0
        usual = min(usual, found)
    return slow == _AGREEING


def _trial(most: int) -> Generator[int, float, tuple[int, float]]:
    """Return the number of threads that is faster, and the seconds that a step takes by them."""
    of_one = math.nan
    for _ in range(_AGREEING):
        of_all = yield from _turn(most)
        of_one = yield from _turn(1)
        if of_one >= _FASTER * of_all:
            return most, of_all
    return 1, of_one


def _turn(threads: int) -> Generator[int, float, float]:
    """Return the mean of the seconds that the steps of a turn take."""
    yield threads  # the first step wakes or parks threads
    total, steps = 0.0, 0
    while total < _TURN:
        total += yield threads
        steps += 1
    return total / steps


class AdaptiveThreadsStep:
    """A step on a processor by as many threads as are fast at the moment.

    Args:
        step: the step that is timed.
        most: number of all threads.
    """

    def __init__(self, step: FastStep, most: int) -> None:
        self.step, self.noise = step, step.noise
        self._choices = thread_choices(most)
        self._threads = next(self._choices)

    def __call__(self, index: Tensor, rate: float, kl_warmup: float, augments: bool) -> Tensor:
        """Take a step as `Step` does, and time it."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        clock = time.perf_counter()
        totals = self.step(index, rate, kl_warmup, augments)
        self._threads = self._choices.send(time.perf_counter() - clock)
        return totals


def adapts_threads(config: TrainConfig, device: torch.device) -> bool:
    """Return whether steps on `device` choose their number of threads by timing."""
    return device.type == "cpu" and config.threads == "auto" and torch.get_num_threads() > 1


@restore_thread_count()
def product_seconds(threads: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Time the product of two matrices by some threads, and return the median in seconds.

    Args:
        threads: number of threads.
        clock: a clock in seconds.
    """
    torch.set_num_threads(threads)
    factor, seconds = torch.ones(SIDE, SIDE), [0.0] * _PRODUCTS
    for i in range(_PRODUCTS):
        began = clock()
        _ = factor @ factor
        seconds[i] = clock() - began
    return statistics.median(seconds[1:])


def is_core_taken(of_all: float, of_one: float) -> bool:
    """Return whether all threads are no faster than one, as while another process keeps a core.

    Args:
        of_all: seconds that some work takes by all threads.
        of_one: seconds that it takes by one thread.
    """
    return of_all > _FASTER * of_one
