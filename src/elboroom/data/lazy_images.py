"""Images of a part that are read from a larger array, perhaps on disk, and made binary then."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elboroom.data.binarisation import Binarisation
from elboroom.data.rows import Rows
from elboroom.data.source import rows_at_once


@dataclass(frozen=True)
class LazyImages:
    """A stand-in for a tensor of images (N, *event) with the few methods that a part needs.

    The result for a row depends on that row alone. A part that is read batch by batch therefore has
    the same images, bit for bit, as one that is read at once.

    Attributes:
        stored: the rows to read.
        binarisation: makes them binary when they are read.
    """

    stored: Rows
    binarisation: Binarisation

    device = torch.device("cpu")

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *event)."""
        return self.stored.shape

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read the images at `index` (B,) as uint8 or float32, (B, *event); `dim` is 0."""
        assert dim == 0, "only rows can be selected"
        return self._read(index.numpy())

    def split(self, size: int) -> Iterator[Tensor]:
        """Read all images in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self._read(np.arange(start, min(start + size, len(self))))

    def to(self, device: torch.device) -> "LazyImages":
        """Return itself: each batch is moved after it is read."""
        return self

    def load(self) -> Tensor:
        """Read all images into one tensor."""
        size = rows_at_once(self.shape[1:])
        images = torch.empty(self.shape, dtype=self._read(np.arange(0)).dtype)
        for place, read in zip(images.split(size), self.split(size), strict=True):
            place.copy_(read)
        return images

    def _read(self, rows: np.ndarray) -> Tensor:
        return self.binarisation.read(self.stored.read(rows), rows)
