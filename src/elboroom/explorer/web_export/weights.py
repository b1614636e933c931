"""The numbers of an export, one array after the other in one file."""

import numpy as np
from torch import Tensor


class Weights:
    """Arrays of float32 that are written together."""

    def __init__(self) -> None:
        self._parts = list[np.ndarray]()
        self._count = 0

    def add(self, values: Tensor) -> dict[str, int]:
        """Take an array in C order, and return its place: the first number, and how many."""
        flat = values.detach().cpu().flatten().numpy().astype("<f4")
        place = {"start": self._count, "size": len(flat)}
        self._parts.append(flat)
        self._count += len(flat)
        return place

    def to_bytes(self) -> bytes:
        """Return the numbers, little-endian."""
        return b"".join(part.tobytes() for part in self._parts)
