"""A lane: one request after the other, few waiting, none for ever."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_NEWEST = 0.2  # weight of the newest request in the usual time of one


class BusyError(Exception):
    """More requests are waiting than a lane holds, or longer than one should wait."""


class Lane:
    """One thread that works on requests in their order.

    PyTorch uses all cores for one request, so that more threads would only disturb each other.

    Args:
        name: names the thread.
        most: how many requests may be worked on or wait.
        wait: the most seconds that a request is let in for, to wait for those before it.
        seconds: after so long a request is given up; its work goes on, and keeps its place.
    """

    def __init__(self, name: str, *, most: int, wait: float, seconds: float) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._most, self._wait, self._seconds = most, wait, seconds
        self._taken, self._usual = 0, 0.0

    async def run(self, work: Callable[[], Any]) -> Any:
        """Run a function on the thread, and return its result.

        Raises:
            BusyError: if as many requests as the lane holds are there already, or if those usually
                take too long.
            TimeoutError: if it takes too long.
        """
        if self._taken >= self._most or self._takes_long:
            raise BusyError
        self._taken += 1
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._timed, work)
        done.add_done_callback(self._leave)
        return await asyncio.wait_for(asyncio.shield(done), self._seconds)

    @property
    def _takes_long(self) -> bool:
        """True if one more would wait too long; one may wait in any case, as pages ask for two."""
        return self._taken > 1 and self._taken * self._usual > self._wait

    def _timed(self, work: Callable[[], Any]) -> Any:
        clock = time.perf_counter()
        try:
            return work()
        finally:
            self._usual += _NEWEST * (time.perf_counter() - clock - self._usual)

    def _leave(self, done: asyncio.Future[Any]) -> None:
        self._taken -= 1
        if not done.cancelled():
            done.exception()  # of a request that was given up, nobody else asks for it

    def close(self) -> None:
        """Take no more requests."""
        self._thread.shutdown(wait=False, cancel_futures=True)
