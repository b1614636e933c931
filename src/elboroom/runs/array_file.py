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

_HEADER = 128  # bytes, which numpy writes for pictures, however many there are
_TOGETHER = 1 << 18  # bytes hashed and written at once, while they are in the cache


class ArrayFile:
    """A `.npy` of uint8 pictures, without a header until it is finished.

    Args:
        file: where to write.
    """

    def __init__(self, file: NewFile) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self._rows, self._waiting = 0, list[np.ndarray]()
        self._event_shape: tuple[int, ...] = (0, 0, 0)

    def add(self, values: np.ndarray) -> None:
        """Add a picture (C, H, W) of the same height and width after the others.

        If others have one channel and it has more, they get as many equal channels; and the other
        way round. Some pictures wait until they are written together.

        Raises:
            DiskError: if they cannot be written.
        """
        self._waiting.append(values)
        if len(self._waiting) * values.nbytes >= _TOGETHER:
            self._flush()

    def finish(self) -> str:
        """Write the header, without which no reader takes the file for an array.

        Returns:
            The SHA-256 of the values.

        Raises:
            DiskError: if it cannot be written.
        """
        self._flush()
        header, shape = BytesIO(), (self._rows, *self._event_shape)
        described = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, described)
        assert header.tell() == _HEADER, "numpy writes headers of another length"
        self._file.write(0, header.getvalue())
        return self._digest.hexdigest()

    def _flush(self) -> None:
        """Write the pictures that wait."""
        if not self._waiting:
            return
        channels, height, width = max(self._waiting, key=len).shape
        if self._rows == 0:
            self._event_shape = (channels, height, width)
        elif channels > self._event_shape[0]:
            self._repeat_channel(channels)
        images = np.empty((len(self._waiting), *self._event_shape), np.uint8)
        for image, values in zip(images, self._waiting, strict=True):
            image[:] = values
        self._digest.update(self._write(self._rows, images))
        self._rows, self._waiting = self._rows + len(images), []

    def _repeat_channel(self, channels: int) -> None:
        """Give all rows that are written, which have one channel, as many channels equal to it."""
        grey, self._event_shape = self._event_shape, (channels, *self._event_shape[1:])
        step = rows_at_once(self._event_shape)
        for start in reversed(range(0, self._rows, step)):  # a row moves behind those still to come
            self._write(start, np.repeat(self._read(start, step, grey), channels, axis=1))
        self._digest = hashlib.sha256()
        for start in range(0, self._rows, step):
            self._digest.update(self._read(start, step, self._event_shape).data)

    def _write(self, start: int, images: np.ndarray) -> memoryview:
        """Write images from row `start` on, and return their bytes."""
        content = images.reshape(-1).data
        self._file.write(_HEADER + start * math.prod(self._event_shape), content)
        return content

    def _read(self, start: int, most: int, event_shape: tuple[int, ...]) -> np.ndarray:
        """Read up to `most` rows of some shape from row `start` on."""
        size, count = math.prod(event_shape), min(most, self._rows - start)
        content = self._file.read(_HEADER + start * size, count * size)
        return np.frombuffer(content, np.uint8).reshape(count, *event_shape)


@contextmanager
def array_file(path: Path) -> Iterator[ArrayFile]:
    """Yield an array to fill and to finish, which becomes `path` if the block has no error.

    Raises:
        DiskError: if it cannot be written, or another process has begun to write the same file.
    """
    with new_file(path) as file:
        yield ArrayFile(file)
