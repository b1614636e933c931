"""A Part of the data: its images, and what is known of each row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from elboroom.data import masks
from elboroom.data.binarisation import Binarisation
from elboroom.data.lazy_images import JoinedImages, LazyImages
from elboroom.data.rows import Rows
from elboroom.data.source import Source, noun, rows_at_once
from elboroom.html_table import Shown, Summary

_MOST_CLASSES = 6  # named in a line


@dataclass(frozen=True, repr=False)
class Part(Shown):
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
        withheld: (N, *event), True for known entries that a model is scored by given the others;
            None if rows are scored as a whole.

    Example:
        >>> part = data.test
        >>> len(part), part.x.shape, part.labels.shape, part.classes[:3]
        (200, torch.Size([200, 1, 28, 28]), torch.Size([200]), ('0', '1', '2'))
        >>> few = part.rows([0, 5])
        >>> few.x.shape, torch.equal(few.x[1], part.x[5])
        (torch.Size([2, 1, 28, 28]), True)
    """

    images: Tensor | LazyImages | JoinedImages
    labels: Tensor | None
    binarisation: Binarisation = field(default_factory=Binarisation)
    source_rows: np.ndarray | None = None
    files: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    origin: str = ""
    withheld: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def noun(self) -> str:
        """The word for one row: image or row."""
        return noun(tuple(self.images.shape[1:]))

    @property
    def nouns(self) -> str:
        """The word for several rows."""
        return f"{self.noun}s"

    @property
    def device(self) -> torch.device:
        """The device of the images, and of the index that `batch` takes."""
        return self.images.device

    @property
    def on_disk(self) -> bool:
        """True if the images stay on disk and are read a batch at a time."""
        return not isinstance(self.images, Tensor) and self.images.on_disk

    @property
    def redraw(self) -> bool:
        """True if every batch draws its binary values again."""
        return self.binarisation.at_every_visit

    @property
    def missing(self) -> bool:
        """True if some values are missing, which NaN stands for."""
        return self.binarisation.missing

    @property
    def label_summary(self) -> str:
        """The classes of the labels, or that there are none, in a line."""
        if self.labels is None:
            return "none"
        classes = self.classes or [str(label) for label in self.labels.unique().tolist()]
        kinds = "class" if len(classes) == 1 else "classes"
        return f"{len(classes):,} {kinds}: {_shortened(classes)}"

    def _summary(self) -> Summary:
        facts = {
            "each": " × ".join(map(str, self.images.shape[1:])),
            "stored as": f"{self.images.dtype}, {'on disk' if self.on_disk else self.device}",
            "labels": self.label_summary,
            "missing values": "some" if self.missing else "none",
            "origin": self.origin or None,
        }
        return Summary(f"{len(self):,} {self.noun if len(self) == 1 else self.nouns}", facts)

    def batch(
        self,
        index: Tensor,
        generator: torch.Generator,
        change: Callable[[Tensor, torch.Generator], Tensor] = lambda x, generator: x,
    ) -> Tensor:
        """Return the images at `index` (B,) as float32 (B, *event).

        Args:
            index: rows, on the device of the images.
            generator: random generator of the change and of binary values; the batch is on its
                device.
            change: what is done to the images, before binary values are drawn.
        """
        stored = self.images.index_select(0, index).to(generator.device)
        x = change(self.binarisation.scale(stored), generator)
        return self.binarisation.visit(x, generator)

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

    def split_share(self, size: int) -> Iterator[Tensor]:
        """Yield the images that this rank passes over, as `split` does.

        Ranks share those on disk; each passes over all of those in memory.
        """
        for images in self._stored_share(size):
            yield self.binarisation.scale(images)

    def _stored_share(self, size: int) -> Iterator[Tensor]:
        if isinstance(self.images, Tensor):
            yield from self.images.split(size)
        else:
            yield from self.images.split_share(size)

    @property
    def x(self) -> Tensor:
        """All images as float32, (N, *event), in memory, without drawing any again."""
        return torch.cat(list(self.split(self._rows_at_once)))

    @property
    def possible_values(self) -> Tensor | None:
        """All values that bytes may stand for in `x`, (256,); None for other types."""
        if self.images.dtype != torch.uint8:
            return None
        return self.binarisation.scale(torch.arange(256, dtype=torch.uint8))

    def values(self) -> Iterator[Tensor]:
        """Yield every value that occurs in `x` at least once, some at a time, (V,).

        Of images on disk each rank yields those of its share.
        """
        if self.on_disk and self.binarisation.on_reading:
            yield torch.tensor([0.0, 1.0])
            return
        for images in self._stored_share(self._rows_at_once):
            values = images.flatten()
            is_bytes = values.dtype == torch.uint8
            yield self.binarisation.scale(values.bincount().nonzero()[:, 0] if is_bytes else values)

    def to(self, device: torch.device) -> "Part":
        """Return the same part on `device`; images on disk stay there."""
        labels = None if self.labels is None else self.labels.to(device)
        withheld = None if self.withheld is None else self.withheld.to(device)
        return replace(self, images=self.images.to(device), labels=labels, withheld=withheld)

    def rows(self, index: list[int]) -> "Part":
        """Return the rows at `index`, in memory."""
        chosen = torch.tensor(index, dtype=torch.int64, device=self.device)
        return replace(
            self,
            images=self.images.index_select(0, chosen),
            labels=None if self.labels is None else self.labels[index],
            source_rows=self.numbers[index],
            files=None if self.files is None else tuple(self.files[row] for row in index),
            withheld=None if self.withheld is None else self.withheld[index],
        )

    def drawn_once(self) -> "Part":
        """Return the part with binary values drawn once, where every batch draws them again."""
        if not self.redraw:
            return self
        stream, start = self.binarisation.stream, self.binarisation.start
        once = self.binarisation.held_out(stream=stream, start=start)
        if isinstance(self.images, LazyImages):
            return replace(self, images=replace(self.images, binarisation=once), binarisation=once)
        read, place = [], 0
        for values in self.images.split(self._rows_at_once):
            read.append(once.read(values, np.arange(place, place + len(values))))
            place += len(values)
        return replace(self, images=torch.cat(read), binarisation=once)

    @property
    def numbers(self) -> np.ndarray:
        """The number of each row in the source, (N,) int64."""
        return np.arange(len(self)) if self.source_rows is None else self.source_rows

    @property
    def _rows_at_once(self) -> int:
        return rows_at_once(tuple(self.images.shape[1:]))


def _shortened(names: Sequence[str]) -> str:
    if len(names) <= 2 * _MOST_CLASSES:
        return ", ".join(names)
    return ", ".join([*names[:_MOST_CLASSES], "…", names[-1]])


def read_part(rows: Rows, source: Source, binarisation: Binarisation) -> Part:
    """Read some rows of a source as a part; they stay on disk if the source does."""
    images = LazyImages(rows, binarisation)
    return Part(
        images if source.mapped else images.load(),
        None if rows.labels is None else torch.tensor(rows.labels),
        binarisation,
        source_rows=rows.index,
        files=rows.files,
        classes=source.classes,
        origin=rows.part.origin,
    )


def join(parts: list[Part]) -> Part:
    """Join parts of one source, with its rows in order; nothing is copied before it is read.

    Rows of several arrays follow in the order of the arrays, and are numbered through.
    """
    if len(parts) == 1:
        return parts[0]
    numbers, array = np.concatenate([part.numbers for part in parts]), _arrays(parts)
    order = np.lexsort((numbers, array))
    labels = [part.labels for part in parts if part.labels is not None]
    files = [file for part in parts for file in part.files or ()]
    return Part(
        JoinedImages.of([part.images for part in parts], order),
        torch.cat(labels)[torch.from_numpy(order)] if len(labels) == len(parts) else None,
        parts[0].binarisation,
        source_rows=None if array.any() else numbers[order],
        files=tuple(files[row] for row in order) if len(files) == len(order) else None,
        classes=parts[0].classes,
        origin=", then ".join(dict.fromkeys(part.origin for part in parts if part.origin)),
    )


def _arrays(parts: list[Part]) -> np.ndarray:
    """Number the arrays that the rows of some parts stand in, from 0, (N,).

    Parts are of one array if they have the same origin, unless that gives a number to two rows.
    """
    origins = list(dict.fromkeys(part.origin for part in parts))
    sizes, numbers = [len(part) for part in parts], np.concatenate([p.numbers for p in parts])
    array = np.repeat([origins.index(part.origin) for part in parts], sizes)
    is_unique = len(np.unique(np.stack([array, numbers]), axis=1).T) == len(numbers)
    return array if is_unique else np.repeat(np.arange(len(parts)), sizes)
