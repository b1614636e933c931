"""A source: images as they were read, before they are split and made binary."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_AT_A_TIME = 1 << 22  # values, of which a few copies in 32 or 64 bits are held


@dataclass(frozen=True)
class Source:
    """Images as read: grey levels with `white` 255, or values in [0, 1] with `white` 1.

    Where pixels are missing the images are floats in [0, 1], and NaN there.

    Attributes:
        name: what results call it.
        images: (N, *event), uint8 or float32; of any type of number where they are mapped.
        labels: (N,) int64, or None.
        test_images: the source's own test part, or None where it has none.
        test_labels: (M,) int64, or None.
        white: the value that stands for 1.
        mapped: whether the images stay on disk, too many for the memory they may take.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    test_images: np.ndarray | None
    test_labels: np.ndarray | None
    white: float
    mapped: bool = False

    @cached_property
    def has_gaps(self) -> bool:
        """Whether any pixel is missing."""
        return any(rows.dtype.kind == "f" and np.isnan(rows).any() for rows in self._pieces())

    @cached_property
    def sha256(self) -> str:
        """Digest of all images as `compact` has them, the test part's last."""
        digest = hashlib.sha256()
        for rows in self._pieces():
            digest.update(np.ascontiguousarray(compact(rows)).data)
        return digest.hexdigest()

    def _pieces(self) -> Iterator[np.ndarray]:
        for images in (self.images, self.test_images):
            if images is not None:
                yield from pieces(images)


def rows_at_a_time(event: tuple[int, ...]) -> int:
    """How many images of that shape are looked at together, where all of them would not fit."""
    return max(1, _AT_A_TIME // math.prod(event))


def pieces(images: np.ndarray) -> Iterator[np.ndarray]:
    """All rows of (N, *event) in order, some at a time."""
    rows = rows_at_a_time(images.shape[1:])
    for start in range(0, len(images), rows):
        yield images[start : start + rows]


def compact(images: np.ndarray) -> np.ndarray:
    """uint8 of bytes and booleans, float32 of other numbers."""
    kind = np.uint8 if images.dtype in (bool, np.uint8) else np.float32
    return np.asarray(images).astype(kind, copy=False)
