"""The folder of a packed array: numbered `.npy` files of as many pictures each."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from elboroom.runs.array_file import ArrayFile, array_file


class ShardFolder:
    """Shards that are filled one after the other.

    Args:
        path: the folder, which is empty.
        rows: of each shard; the last may have fewer.
        stack: closes the shard that is being filled.
    """

    def __init__(self, path: Path, rows: int, stack: ExitStack) -> None:
        self._path, self._rows, self._stack = path, rows, stack
        self._channels, self._digests = list[int](), list[str]()
        self._current: ArrayFile | None = None
        self._filled = 0

    def add(self, values: np.ndarray) -> None:
        """Add a picture (C, H, W) of the same height and width after the others.

        Raises:
            DiskError: if it cannot be written.
        """
        if self._current is None:
            self._current = self._stack.enter_context(array_file(self._name(len(self._digests))))
            self._channels.append(0)
        self._current.add(values)
        self._channels[-1] = max(self._channels[-1], len(values))
        self._filled += 1
        if self._filled == self._rows:
            self._close()

    def finish(self) -> tuple[str, ...]:
        """Finish the last shard, and give all shards the channels of the one that has most.

        Returns:
            The SHA-256 of the values of each shard.

        Raises:
            DiskError: if they cannot be written.
        """
        self._close()
        for number, channels in enumerate(self._channels):
            if channels < max(self._channels):
                self._digests[number] = self._with_channels(number, max(self._channels))
        return tuple(self._digests)

    def _close(self) -> None:
        if self._current is not None:
            self._digests.append(self._current.finish())
            self._stack.close()
            self._current, self._filled = None, 0

    def _with_channels(self, number: int, channels: int) -> str:
        """Write a shard of one channel again, with as many channels equal to it."""
        with array_file(self._name(number)) as file:
            # Windows replaces no file that is mapped; that of this call is mapped no longer.
            self._add_repeated(number, channels, file)
            return file.finish()

    def _add_repeated(self, number: int, channels: int, file: ArrayFile) -> None:
        for values in np.load(self._name(number), mmap_mode="r"):
            file.add(np.repeat(values, channels, axis=0))

    def _name(self, number: int) -> Path:
        return self._path / f"{number:05}.npy"


@contextmanager
def shard_folder(path: Path, rows: int) -> Iterator[ShardFolder]:
    """Yield shards to fill and to finish in an empty folder.

    Raises:
        DiskError: if they cannot be written.
    """
    with ExitStack() as stack:
        yield ShardFolder(path, rows, stack)
