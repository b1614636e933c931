"""Work on many items by threads, with the results in the order of the items."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import TypeVar

_MOST_WORKERS = 8  # threads beyond them wait for the interpreter
_TOGETHER = 4  # items that a thread takes at once, as taking one costs some 20 µs
_AHEAD = 2  # times as many, for each thread, that may wait to be yielded

Item = TypeVar("Item")
Result = TypeVar("Result")


def workers() -> int:
    """Return the number of threads, one for each processor unless they are many."""
    return min(_MOST_WORKERS, os.cpu_count() or 1)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, together: int = _TOGETHER
) -> Iterator[Result]:
    """Yield `function` of each item, in order; some items ahead are worked on by threads.

    The function gains if it mostly runs code that releases the interpreter, such as decoding.

    Args:
        function: called from any thread.
        items: its arguments.
        together: the number of items that a thread takes at once.
    """
    waiting, items = deque[Future[list[Result]]](), iter(items)
    pool = _pool(workers(), os.getpid())
    try:
        while some := list(islice(items, together)):
            waiting.append(pool.submit(_each, function, some))
            if len(waiting) >= _AHEAD * workers():
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@cache
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of a process, which live as long as it does.

    An error may keep an iterator alive, and threads of its own with it.
    """
    return ThreadPoolExecutor(workers)


def _each(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]
