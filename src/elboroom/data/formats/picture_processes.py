"""Processes that read the pictures of a folder in parallel.

Threads take turns at what is Python, which is a third of the work for a picture of 256 × 256.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from elboroom.data.formats.parallel import in_order, workers
from elboroom.data.formats.picture_process import PictureProcess
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import Recipe

_MOST_TOGETHER, _FEWEST_TOGETHER = 64, 4  # pictures that a process is asked for at once
_BYTES_TOGETHER = 1 << 20  # of them


class PictureProcesses:
    """Processes that read the pictures of a folder, one for each processor.

    Args:
        folder: the folder.

    Raises:
        OSError: if the system refuses to start them.
    """

    def __init__(self, folder: Path) -> None:
        self._idle = SimpleQueue[PictureProcess]()
        with ExitStack() as started:
            self._all = [_started(folder, started) for _ in range(workers())]
            self._started = started.pop_all()

    def require_ready(self) -> None:
        """Wait until all of them are ready.

        Raises:
            OSError: if one cannot be had.
        """
        for process in self._all:
            process.require_ready()
            self._idle.put(process)

    def read(self, names: Sequence[str], recipe: Recipe) -> Iterator[PictureRow]:
        """Read pictures in their order.

        Raises:
            DataError: if a process ends before it is done.
            MemoryError: if the memory of one runs out.
        """
        step = _together(recipe)
        groups = (names[start : start + step] for start in range(0, len(names), step))
        for rows in in_order(partial(self._read, recipe), groups, together=1):
            yield from rows

    def end(self) -> None:
        """End the processes, whatever they do."""
        self._started.close()

    def _read(self, recipe: Recipe, names: Sequence[str]) -> list[PictureRow]:
        process = self._idle.get()
        try:
            return process.read(names, recipe)
        finally:
            self._idle.put(process)


def _started(folder: Path, started: ExitStack) -> PictureProcess:
    process = PictureProcess(folder)
    started.callback(process.end)
    return process


def _together(recipe: Recipe) -> int:
    """Return how many pictures of the size of a recipe are read at once; few of an unknown one."""
    if recipe.size is None:
        return _FEWEST_TOGETHER
    width, height = recipe.size
    return min(_MOST_TOGETHER, max(1, _BYTES_TOGETHER // (3 * width * height)))
