"""A reader: the images of a part while they lie in a larger array, made binary as they are read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from elboroom.data import binarisation
from elboroom.data.source import compact, rows_at_a_time

Drawn = Literal["grey", "threshold", "once"]


@dataclass(frozen=True)
class Reader:
    """Stands for a tensor of images (N, *event), with the few of its methods that parts need.

    What it reads of a row depends on that row alone, so that a part that is read as it is visited
    has the images of one that was read at once, bit for bit.

    Attributes:
        array: (M, *event), perhaps mapped.
        index: which rows of it, (N,) int64.
        white: the value that stands for 1.
        drawn: how they are made binary; grey leaves them as they are.
        stream: of the draws.
        start: the row of these draws that the first image has.
        missing: whether NaN stands where a pixel is not known.
    """

    array: np.ndarray
    index: np.ndarray
    white: float
    drawn: Drawn
    stream: int
    start: int
    missing: bool

    device = torch.device("cpu")

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *event)."""
        return (len(self), *self.array.shape[1:])

    @property
    def is_binary(self) -> bool:
        """Whether 0, 1 and NaN are all that it reads."""
        return self.drawn != "grey"

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The images at `index` (B,), (B, *event), uint8 or float32; `dim` is 0."""
        assert dim == 0, "a reader selects rows"
        return self._read(index.numpy())

    def split(self, size: int) -> Iterator[Tensor]:
        """All images in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self._read(np.arange(start, min(start + size, len(self))))

    def to(self, device: torch.device) -> "Reader":
        """Itself: batches are moved, one by one."""
        return self

    def all(self) -> Tensor:
        """All images, in a tensor of their own."""
        size = rows_at_a_time(self.shape[1:])
        images = torch.empty(self.shape, dtype=self._read(np.arange(0)).dtype)
        for place, read in zip(images.split(size), self.split(size), strict=True):
            place.copy_(read)
        return images

    def _read(self, rows: np.ndarray) -> Tensor:
        # a row at a time is what a shuffled epoch asks of the disk
        grey = torch.from_numpy(np.ascontiguousarray(compact(self.array[self.index[rows]])))
        if self.drawn == "grey":
            return grey
        if self.drawn == "threshold":
            binary = binarisation.threshold(grey, self.white)
        else:
            x = brightness(grey, self.white)
            binary = binarisation.draw_rows(x, self.start + rows, stream=self.stream)
        return binary.float().masked_fill(grey.isnan(), math.nan) if self.missing else binary


def brightness(images: Tensor, white: float) -> Tensor:
    """Images as float32 in [0, 1]."""
    x = images.float()
    return x if white == 1.0 else x.div_(white)  # of bytes, whose floats are nobody else's
