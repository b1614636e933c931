"""Some rows of an array that may stay on disk."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elboroom.data.source import to_bytes_or_floats


@dataclass(frozen=True)
class Rows:
    """Rows of an array, chosen by an index of 8 bytes per row and not yet read.

    Attributes:
        array: (M, *event), perhaps a `numpy.memmap`.
        all_labels: (M,), or None.
        index: the chosen rows, (N,) int64.
    """

    array: np.ndarray
    all_labels: np.ndarray | None
    index: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray, labels: np.ndarray | None = None) -> "Rows":
        """Choose all rows of an array."""
        return cls(array, labels, np.arange(len(array)))

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *event)."""
        return (len(self), *self.array.shape[1:])

    @property
    def labels(self) -> np.ndarray | None:
        """The labels of the rows, (N,), or None."""
        return None if self.all_labels is None else self.all_labels[self.index]

    def read(self, rows: np.ndarray) -> Tensor:
        """Read the values at some places (B,) among these rows: (B, *event), uint8 or float32."""
        values = to_bytes_or_floats(self.array[self.index[rows]])
        return torch.from_numpy(np.ascontiguousarray(values))

    def __getitem__(self, rows: slice | np.ndarray) -> "Rows":
        return Rows(self.array, self.all_labels, self.index[rows])

    def __len__(self) -> int:
        return len(self.index)
