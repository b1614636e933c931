"""Work on many items by threads, with the results in the order of the items."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

_MOST_WORKERS = 8  # threads beyond them wait for the interpreter
_AHEAD = 4  # items for each thread that may wait to be taken

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function` of each item, in order; some items ahead are worked on by threads.

    The function gains if it mostly runs code that releases the interpreter, such as decoding.
    """
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    waiting = deque[Future[Result]]()
    pool = _pool(workers, os.getpid())
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@cache
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of a process, which live as long as it does.

    An error may keep an iterator alive, and threads of its own with it.
    """
    return ThreadPoolExecutor(workers)
