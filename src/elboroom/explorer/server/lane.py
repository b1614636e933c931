"""A lane: one request after the other, few waiting, none for ever."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class BusyError(Exception):
    """More requests are waiting than a lane holds."""


class Lane:
    """One thread that works on requests in their order.

    PyTorch uses all cores for one request, so that more threads would only disturb each other.

    Args:
        name: names the thread.
        most: how many requests may be worked on or wait.
        seconds: after so long a request is given up; its work goes on, and keeps its place.
    """

    def __init__(self, name: str, *, most: int, seconds: float) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._most, self._seconds, self._taken = most, seconds, 0

    async def run(self, work: Callable[[], Any]) -> Any:
        """Run a function on the thread, and return its result.

        Raises:
            BusyError: if as many requests as the lane holds are there already.
            TimeoutError: if it takes too long.
        """
        if self._taken >= self._most:
            raise BusyError
        self._taken += 1
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done.add_done_callback(self._leave)
        return await asyncio.wait_for(asyncio.shield(done), self._seconds)

    def _leave(self, done: asyncio.Future[Any]) -> None:
        self._taken -= 1
        if not done.cancelled():
            done.exception()  # of a request that was given up, nobody else asks for it

    def close(self) -> None:
        """Take no more requests."""
        self._thread.shutdown(wait=False, cancel_futures=True)
