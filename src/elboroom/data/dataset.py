"""The Dataset: images in parts, and the identity that every result carries."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.data import binarisation
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
    """Images of one part of the data, in a compact type.

    Attributes:
        images: (N, *event), uint8 or float32.
        labels: (N,) int64, or None.
        white: the stored value that stands for 1.
        redraw: whether every visit draws fresh binary pixels (dynamic binarisation).
        missing: whether NaN stands in `images` where a pixel is not known.
    """

    images: Tensor
    labels: Tensor | None
    white: float = 1.0
    redraw: bool = False
    missing: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """The images at `index` (B,) as float32 (B, *event); `generator` feeds a redraw."""
        x = self._float(self.images.index_select(0, index))
        if not self.redraw:
            return x
        drawn = binarisation.draw(x, generator)
        return torch.where(x.isnan(), x, drawn) if self.missing else drawn

    def seen(self, x: Tensor) -> Tensor | None:
        """The mask of a batch of this part: False where a pixel is missing; None if none is."""
        return ~x.isnan() if self.missing else None

    @property
    def mean(self) -> Tensor:
        """The mean image in [0, 1], (*event); NaN where a pixel is missing in all of them."""
        return self.x.nanmean(0)

    @property
    def x(self) -> Tensor:
        """All images as float32 in [0, 1], (N, *event), without a redraw."""
        return self._float(self.images)

    @property
    def values(self) -> Tensor:
        """Every value that occurs in `x`, each at least once, (V,)."""
        if self.images.dtype != torch.uint8:
            return self.x.flatten()
        return self._float(torch.bincount(self.images.flatten()).nonzero()[:, 0])

    def to(self, device: torch.device) -> "Part":
        """The same part on `device`."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def rows(self, index: list[int]) -> "Part":
        """The rows at `index`."""
        labels = None if self.labels is None else self.labels[index]
        return replace(self, images=self.images[index], labels=labels)

    def _float(self, images: Tensor) -> Tensor:
        x = images.float()
        return x if self.white == 1.0 else x.div_(self.white)


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
