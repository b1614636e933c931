"""Images that are read when they are needed: from an array, perhaps on disk, or other parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from elboroom.data.binarisation import Binarisation
from elboroom.data.rows import Rows
from elboroom.data.sharing import sharers
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
    on_disk = True

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *event)."""
        return self.stored.shape

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values that are read."""
        return self._read(np.arange(0)).dtype

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read the images at `index` (B,) as uint8 or float32, (B, *event); `dim` is 0."""
        assert dim == 0, "only rows can be selected"
        return self._read(index.numpy())

    def split(self, size: int) -> Iterator[Tensor]:
        """Read all images in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self._read(np.arange(start, min(start + size, len(self))))

    def split_share(self, size: int) -> Iterator[Tensor]:
        """Read the images that this rank passes over where ranks share a pass, as `split` does."""
        places = self.stored.share
        for start in range(0, len(places), size):
            yield self._read(places[start : start + size])

    def to(self, device: torch.device) -> "LazyImages":
        """Return itself: each batch is moved after it is read."""
        return self

    def load(self) -> Tensor:
        """Read all images into one tensor."""
        size = rows_at_once(self.shape[1:])
        images = torch.empty(self.shape, dtype=self.dtype)
        for place, read in zip(images.split(size), self.split(size), strict=True):
            place.copy_(read)
        return images

    def _read(self, rows: np.ndarray) -> Tensor:
        return self.binarisation.read(self.stored.read(rows), rows)


@dataclass(frozen=True)
class JoinedImages:
    """A stand-in for a tensor of images that are those of several parts, in any order.

    Attributes:
        parts: images of each part, (N_p, *event).
        part: part of each row, (N,) int64.
        place: place of each row in its part, (N,) int64.
    """

    parts: tuple["Tensor | LazyImages | JoinedImages", ...]
    part: Tensor
    place: Tensor

    @classmethod
    def of(
        cls, parts: "Sequence[Tensor | LazyImages | JoinedImages]", order: np.ndarray
    ) -> "JoinedImages":
        """Join parts, whose rows one after the other are then taken in an order (N,)."""
        sizes = torch.tensor([len(images) for images in parts])
        part = torch.arange(len(parts)).repeat_interleave(sizes)
        place = torch.cat([torch.arange(len(images)) for images in parts])
        rows = torch.from_numpy(order)
        return cls(tuple(parts), part[rows], place[rows])

    def __len__(self) -> int:
        return len(self.part)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *event)."""
        return (len(self), *self.parts[0].shape[1:])

    @property
    def device(self) -> torch.device:
        """The device of the images, and of the index that selects them."""
        return self.parts[0].device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return self.parts[0].dtype

    @property
    def on_disk(self) -> bool:
        """True if some images stay on disk."""
        return any(not isinstance(images, Tensor) and images.on_disk for images in self.parts)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Read the images at `index` (B,), (B, *event); `dim` is 0."""
        assert dim == 0, "only rows can be selected"
        rows = index.cpu()
        part, place = self.part[rows], self.place[rows]
        chosen = torch.empty((len(rows), *self.shape[1:]), dtype=self.dtype, device=self.device)
        for number in part.unique().tolist():
            here = (part == number).nonzero()[:, 0]
            images = self.parts[number].index_select(0, place[here].to(self.device))
            chosen[here.to(self.device)] = images.to(chosen.dtype)
        return chosen

    def split(self, size: int) -> Iterator[Tensor]:
        """Read all images in order, `size` at a time."""
        for rows in torch.arange(len(self)).split(size):
            yield self.index_select(0, rows)

    def split_share(self, size: int) -> Iterator[Tensor]:
        """Read the images that this rank passes over where ranks share a pass: all in memory."""
        own = sharers().part_of(len(self)) if self.on_disk else slice(None)
        for rows in torch.arange(len(self))[own].split(size):
            yield self.index_select(0, rows)

    def to(self, device: torch.device) -> "JoinedImages":
        """Return the same images on `device`; those on disk stay there."""
        return replace(self, parts=tuple(images.to(device) for images in self.parts))
