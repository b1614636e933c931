"""The Dataset: images in parts, and the identity that every result carries."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.data import binarisation, masks
from elboroom.data.lazy_images import Reader, brightness
from elboroom.data.source import rows_at_a_time
from elboroom.errors import IncomparableError


@dataclass(frozen=True)
class Identity:
    """What two results must share to be compared."""

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
        """Raise `IncomparableError`, naming every field in which the two differ."""
        mine, theirs = vars(self), vars(other)
        unlike = [f"{k}: {mine[k]} against {theirs[k]}" for k in mine if mine[k] != theirs[k]]
        if unlike:
            raise IncomparableError(
                what, why="they speak of different data (" + "; ".join(unlike) + ")", fix=fix
            )


@dataclass(frozen=True)
class Part:
    """Images of one part of the data, in a compact type, or a reader of those that stay on disk.

    Attributes:
        images: (N, *event), uint8 or float32.
        labels: (N,) int64, or None.
        white: the stored value that stands for 1.
        redraw: whether every visit draws fresh binary pixels (dynamic binarisation).
        missing: whether NaN stands in `images` where a pixel is not known.
    """

    images: Tensor | Reader
    labels: Tensor | None
    white: float = 1.0
    redraw: bool = False
    missing: bool = False

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """Where the images are, and where `batch` takes its index."""
        return self.images.device

    @property
    def on_disk(self) -> bool:
        """Whether the images stay there, and are read a batch at a time."""
        return isinstance(self.images, Reader)

    def batch(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """The images at `index` (B,) as float32 (B, *event), on the device of `generator`.

        Args:
            index: rows, on the device of the images.
            generator: feeds a redraw.
        """
        x = brightness(self.images.index_select(0, index).to(generator.device), self.white)
        if not self.redraw:
            return x
        drawn = binarisation.draw(x, generator)
        return torch.where(x.isnan(), x, drawn) if self.missing else drawn

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
        """All images in order as float32 (B, *event) in [0, 1], without a redraw."""
        for images in self.images.split(size):
            yield brightness(images, self.white)

    @property
    def mean(self) -> Tensor:
        """The mean image in [0, 1], (*event); NaN where a pixel is missing in all of them."""
        total = torch.zeros(self.images.shape[1:], dtype=torch.float64, device=self.device)
        count = torch.zeros_like(total)
        for x in self.split(self._at_a_time):
            total += x.nansum(0, dtype=torch.float64)
            count += (~x.isnan()).sum(0) if self.missing else len(x)
        return (total / count).float()

    @property
    def x(self) -> Tensor:
        """All images as float32 in [0, 1], (N, *event), in memory, without a redraw."""
        return torch.cat(list(self.split(self._at_a_time)))

    def values(self) -> Iterator[Tensor]:
        """Every value that occurs in `x`, each at least once, some at a time, (V,)."""
        if isinstance(self.images, Reader) and self.images.is_binary:
            yield torch.tensor([0.0, 1.0])
            return
        for images in self.images.split(self._at_a_time):
            values = images.flatten()
            is_bytes = values.dtype == torch.uint8
            yield brightness(values.bincount().nonzero()[:, 0] if is_bytes else values, self.white)

    def to(self, device: torch.device) -> "Part":
        """The same part on `device`; images on disk stay there."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def rows(self, index: list[int]) -> "Part":
        """The rows at `index`, in memory."""
        chosen = torch.tensor(index, dtype=torch.int64, device=self.device)
        labels = None if self.labels is None else self.labels[index]
        return replace(self, images=self.images.index_select(0, chosen), labels=labels)

    @property
    def _at_a_time(self) -> int:
        return rows_at_a_time(tuple(self.images.shape[1:]))


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
        """The part that training is watched by: validation where there is one, else test."""
        return ("test", self.test) if self.validation is None else ("validation", self.validation)
