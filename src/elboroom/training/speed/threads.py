"""How many processor threads a step gets: all, or one while another process keeps a core.

Threads meet at barriers, where all wait for one whose core is taken: with one of two cores busy, a
step by two threads is several times slower than by one.
"""

import math
import statistics
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import torch

_WARM_UP = 3  # steps, which find everything cold
_TRIAL = 6  # steps by each number, the first of which is not counted: it wakes or parks threads
_WINDOW = 16  # steps, whose median tells a slow-down from a hiccup
_FASTER = 0.9  # of the time of all threads is what one must take: sums in two parts round otherwise
_SLOWER = 1.4
_PATIENCE = 50  # trials' time that one thread works until all are tried again
SIDE = 1_024  # of the matrices that are multiplied to see what threads are worth


@contextmanager
def threads_as_before() -> Iterator[None]:
    """PyTorch's number of threads is at the end what it was."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def thread_choices(
    most: int, clock: Callable[[], float] = time.perf_counter
) -> Generator[int, float, None]:
    """Yields how many threads the next step gets, and is sent the seconds that it took.

    Both numbers are timed at the start, when steps slow down, and now and then while it is one.

    Args:
        most: all of them.
        clock: seconds.
    """
    for _ in range(_WARM_UP):
        yield most
    while True:
        began = clock()
        of_all = yield from _median_of(_TRIAL, most)
        of_one = yield from _median_of(_TRIAL, 1)
        count, usual = (1, of_one) if of_one < _FASTER * of_all else (most, of_all)
        ended = clock()
        until = math.inf if count == most else ended + _PATIENCE * (ended - began)
        while clock() < until:
            found = yield from _median_of(_WINDOW, count)
            if found > _SLOWER * usual:
                break
            usual = min(usual, found)


def _median_of(steps: int, threads: int) -> Generator[int, float, float]:
    seconds = [0.0] * steps
    for i in range(steps):
        seconds[i] = yield threads
    return statistics.median(seconds[1:])


@threads_as_before()
def product_seconds(threads: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that a product of two matrices takes by so many threads: the median of some.

    Args:
        threads: which share the work.
        clock: seconds.
    """
    torch.set_num_threads(threads)
    factor, seconds = torch.ones(SIDE, SIDE), [0.0] * _TRIAL
    for i in range(_TRIAL):
        began = clock()
        _ = factor @ factor
        seconds[i] = clock() - began
    return statistics.median(seconds[1:])


def is_core_taken(of_all: float, of_one: float) -> bool:
    """Whether all threads are no faster than one, as where another process keeps a core.

    Args:
        of_all: seconds of some work by all of them.
        of_one: seconds of the same by one.
    """
    return of_all > _FASTER * of_one
