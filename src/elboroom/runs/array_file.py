"""The file of a packed array: a `.npy` that grows by some rows at a time."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np

from elboroom.data.source import rows_at_once
from elboroom.runs.atomic import NewFile, new_file

HEADER = 128
"""Bytes of the header that numpy writes for pictures, however many there are."""

Shape = tuple[int, int, int]


class ArrayFile:
    """A `.npy` of uint8 pictures, without a header until it is finished.

    Attributes:
        rows: the number of rows written.
        event_shape: shape of one row, (C, H, W).

    Args:
        file: where to write.
        event_shape: as above.
    """

    def __init__(self, file: NewFile, event_shape: Shape) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self.rows, self.event_shape = 0, event_shape

    def append(self, images: np.ndarray) -> None:
        """Write images (B, C, H, W) after the others.

        Raises:
            DiskError: if they cannot be written.
        """
        self._digest.update(self._write(self.rows, images))
        self.rows += len(images)

    def repeat_channel(self, channels: int) -> None:
        """Give all rows, which have one channel, as many channels equal to it.

        Raises:
            DiskError: if the file cannot be read or written.
        """
        grey, self.event_shape = self.event_shape, (channels, *self.event_shape[1:])
        step = rows_at_once(self.event_shape)
        for start in reversed(range(0, self.rows, step)):  # a row moves behind those still to come
            self._write(start, np.repeat(self._read(start, step, grey), channels, axis=1))
        self._digest = hashlib.sha256()
        for start in range(0, self.rows, step):
            self._digest.update(self._read(start, step, self.event_shape).data)

    def finish(self) -> str:
        """Write the header, without which no reader takes the file for an array.

        Returns:
            The SHA-256 of the values.

        Raises:
            DiskError: if it cannot be written.
        """
        header, shape = BytesIO(), (self.rows, *self.event_shape)
        described = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, described)
        assert header.tell() == HEADER, "numpy writes headers of another length"
        self._file.write(0, header.getvalue())
        return self._digest.hexdigest()

    def _write(self, start: int, images: np.ndarray) -> memoryview:
        """Write images from row `start` on, and return their bytes."""
        content = np.ascontiguousarray(images, np.uint8).reshape(-1).data
        self._file.write(HEADER + start * math.prod(self.event_shape), content)
        return content

    def _read(self, start: int, most: int, event_shape: Shape) -> np.ndarray:
        """Read up to `most` rows of some shape from row `start` on."""
        size, count = math.prod(event_shape), min(most, self.rows - start)
        content = self._file.read(HEADER + start * size, count * size)
        return np.frombuffer(content, np.uint8).reshape(count, *event_shape)


@contextmanager
def array_file(path: Path, event_shape: Shape) -> Iterator[ArrayFile]:
    """Yield an array to fill and to finish, which becomes `path` if the block has no error.

    Raises:
        DiskError: if it cannot be written, or another process has begun to write the same file.
    """
    with new_file(path) as file:
        yield ArrayFile(file, event_shape)
