"""The Dataset: images in parts, and the identity that every result carries."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from elboroom.data import masks
from elboroom.data.binarisation import Binarisation
from elboroom.data.lazy_images import LazyImages
from elboroom.data.source import rows_at_once
from elboroom.errors import IncomparableError


@dataclass(frozen=True)
class Identity:
    """The properties of the data that two results must share to be compared."""

    source: str
    sha256: str
    """Digest of the source's images, before any binarisation."""
    binarisation: str
    split: str
    test_images: int

    def require_same(
        self,
        other: "Identity",
        *,
        what: str = "these results cannot be compared",
        fix: str = "evaluate runs that share data, binarisation and split",
    ) -> None:
        """Check that `other` is the same data.

        Raises:
            IncomparableError: if they differ; it names every field that does.
        """
        mine, theirs = vars(self), vars(other)
        unlike = [f"{k}: {mine[k]} against {theirs[k]}" for k in mine if mine[k] != theirs[k]]
        if unlike:
            raise IncomparableError(
                what, why="they are of different data (" + "; ".join(unlike) + ")", fix=fix
            )


@dataclass(frozen=True)
class Part:
    """One part of the data, such as the training part.

    Attributes:
        images: (N, *event), uint8 or float32, or those that stay on disk.
        labels: (N,) int64, or None.
        binarisation: turns stored values into those of a batch.
        source_rows: (N,) int64, the number of each row in its array or listing of the source;
            None if the part is its own source, numbered from 0.
        files: the file of each row, relative to the source; None unless rows have files.
        classes: the name of each class, in the order of the labels; None without labels.
        origin: where the rows stand in the source, such as "x_test"; empty if it is one array.
    """

    images: Tensor | LazyImages
    labels: Tensor | None
    binarisation: Binarisation = field(default_factory=Binarisation)
    source_rows: np.ndarray | None = None
    files: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    origin: str = ""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """The device of the images, and of the index that `batch` takes."""
        return self.images.device

    @property
    def on_disk(self) -> bool:
        """True if the images stay on disk and are read a batch at a time."""
        return isinstance(self.images, LazyImages)

    @property
    def redraw(self) -> bool:
        """True if every batch draws its binary values again."""
        return self.binarisation.at_every_visit

    @property
    def missing(self) -> bool:
        """True if some values are missing, which NaN stands for."""
        return self.binarisation.missing

    def batch(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images at `index` (B,) as float32 (B, *event).

        Args:
            index: rows, on the device of the images.
            generator: random generator that draws binary values; the batch is on its device.
        """
        stored = self.images.index_select(0, index).to(generator.device)
        return self.binarisation.visit(self.binarisation.scale(stored), generator)

    def seen(self, x: Tensor, mask: Tensor | None = None) -> Tensor | None:
        """Return which values of a batch are observed by `mask` and not missing.

        Args:
            x: a batch of this part, (B, *event).
            mask: True = observed, shaped like `x` or like the event; None if all values are.

        Returns:
            A bool tensor shaped like `x`; None if every value is observed.
        """
        return masks.seen(x, mask) if self.missing or mask is not None else None

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield all images in order as float32 (B, *event), without drawing any again."""
        for images in self.images.split(size):
            yield self.binarisation.scale(images)

    @property
    def x(self) -> Tensor:
        """All images as float32, (N, *event), in memory, without drawing any again."""
        return torch.cat(list(self.split(self._rows_at_once)))

    def values(self) -> Iterator[Tensor]:
        """Yield every value that occurs in `x` at least once, some at a time, (V,)."""
        if self.on_disk and self.binarisation.on_reading:
            yield torch.tensor([0.0, 1.0])
            return
        for images in self.images.split(self._rows_at_once):
            values = images.flatten()
            is_bytes = values.dtype == torch.uint8
            yield self.binarisation.scale(values.bincount().nonzero()[:, 0] if is_bytes else values)

    def to(self, device: torch.device) -> "Part":
        """Return the same part on `device`; images on disk stay there."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def rows(self, index: list[int]) -> "Part":
        """Return the rows at `index`, in memory."""
        chosen = torch.tensor(index, dtype=torch.int64, device=self.device)
        return replace(
            self,
            images=self.images.index_select(0, chosen),
            labels=None if self.labels is None else self.labels[index],
            source_rows=self.numbers[index],
            files=None if self.files is None else tuple(self.files[row] for row in index),
        )

    @property
    def numbers(self) -> np.ndarray:
        """The number of each row in the source, (N,) int64."""
        return np.arange(len(self)) if self.source_rows is None else self.source_rows

    @property
    def _rows_at_once(self) -> int:
        return rows_at_once(tuple(self.images.shape[1:]))


@dataclass(frozen=True)
class Dataset:
    """Training, optional validation and test parts of one source."""

    identity: Identity
    train: Part
    validation: Part | None
    test: Part

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one image, such as (1, 28, 28)."""
        return tuple(self.train.images.shape[1:])

    @property
    def held_out(self) -> tuple[str, Part]:
        """The part that training is watched by, with its name: validation, or else test."""
        return ("test", self.test) if self.validation is None else ("validation", self.validation)
