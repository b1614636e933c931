"""Some rows of an array that may stay on disk."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elboroom.data.sharing import own_rows
from elboroom.data.source import SourcePart, to_bytes_or_floats


@dataclass(frozen=True)
class Rows:
    """Rows of a part of the source, chosen by an index of 8 bytes per row and not yet read.

    Attributes:
        part: the part, whose array is perhaps a `numpy.memmap`.
        index: the chosen rows, (N,) int64.
    """

    part: SourcePart
    index: np.ndarray

    @classmethod
    def of(cls, part: SourcePart) -> "Rows":
        """Choose all rows of a part."""
        return cls(part, np.arange(len(part)))

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *event)."""
        return (len(self), *self.part.images.shape[1:])

    @property
    def labels(self) -> np.ndarray | None:
        """The labels of the rows, (N,), or None."""
        return None if self.part.labels is None else self.part.labels[self.index]

    @property
    def files(self) -> tuple[str, ...] | None:
        """The file of each row, or None."""
        files = self.part.files
        return None if files is None else tuple(files[row] for row in self.index)

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each row, (N,) int64, or None."""
        return None if self.part.groups is None else self.part.groups[self.index]

    @property
    def share(self) -> np.ndarray:
        """The places among these rows that this rank passes over, in order: all in memory."""
        own = own_rows(self.part.images)
        return np.flatnonzero((self.index >= own.start) & (self.index < own.stop))

    def read(self, rows: np.ndarray) -> Tensor:
        """Read the values at some places (B,) among these rows: (B, *event), uint8 or float32."""
        values = to_bytes_or_floats(self.part.images[self.index[rows]])
        return torch.from_numpy(np.ascontiguousarray(values))

    def __getitem__(self, rows: slice | np.ndarray) -> "Rows":
        return Rows(self.part, self.index[rows])

    def __len__(self) -> int:
        return len(self.index)
