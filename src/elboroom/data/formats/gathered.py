"""All pictures of a set, gathered as rows of one size; a caller keeps them where it likes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.errors import UnequalSizesError
from elboroom.data.formats.picture_changes import Changes
from elboroom.data.formats.picture_layout import Layout, Listing
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import Prepared, Recipe
from elboroom.errors import DataError

_MOST_SIZES = 3  # in an error
_MOST_SHOWN = 9  # classes in a note


class Pictures(Protocol):
    """Pictures that become rows, in a folder, an archive or a table.

    Attributes:
        path: their source.
        layout: their parts and classes.
    """

    path: Path
    layout: Layout

    def __len__(self) -> int:
        """Return the number of pictures."""
        ...

    def read(self, part: str, recipe: Recipe) -> Iterator[PictureRow]:
        """Read the pictures of a part in their order."""
        ...

    def sizes(self) -> tuple[Counter[tuple[int, int]], dict[tuple[int, int], str]]:
        """Count the sizes of all pictures, with the first name of each."""
        ...

    def notes(self) -> list[str]:
        """Return what the user should know of the source, in short phrases."""
        ...


@dataclass(frozen=True)
class GatheredPart:
    """The pictures of a part that became rows.

    Attributes:
        files: the file of each row, within the folder, (N,).
        labels: (N,) int64, positions among the classes, or None.
    """

    files: tuple[str, ...]
    labels: np.ndarray | None


@dataclass(frozen=True)
class Gathered:
    """The pictures that became rows, in the order of the rows.

    Attributes:
        parts: train, and validation and test if there are any, in this order.
        classes: the name of each class, in the order of the labels; None without labels.
        event_shape: shape of one row, (C, H, W).
        highest: the largest value in pictures of 16 bits of grey; None if there are none.
        notes: what the user should know of them, in short phrases.
    """

    parts: dict[str, GatheredPart]
    classes: tuple[str, ...] | None
    event_shape: tuple[int, ...]
    highest: int | None
    notes: tuple[str, ...]


def gather(pictures: Pictures, config: DataConfig, add: Callable[[np.ndarray], None]) -> Gathered:
    """Read pictures as uint8 of one height and width, with one or three channels.

    Args:
        pictures: the pictures; a label is the position of the class among the names.
        config: its recipe for pictures.
        add: called with each picture that is read, (C, H, W), in order.

    Raises:
        DataError: if no pictures of a part are left, if they differ in size and the recipe keeps
            sizes, or if one is broken.
    """
    changes, recipe = Changes(str(pictures.path), config.background), Recipe.of(config)
    layout, sized = pictures.layout, _OneSize(pictures, add)
    parts = dict[str, GatheredPart]()
    for part, listing in layout.parts.items():
        places = sized.add(changes.kept(pictures.read(part, recipe), config.broken))
        if not places:
            raise _none_left(pictures.path, part, changes)
        files = tuple(listing.files[place] for place in places)
        parts[part] = GatheredPart(files, _labels(listing, places, layout.classes))
    notes = (*changes.notes(), *sized.notes(), *_empty_classes(parts, layout), *pictures.notes())
    return Gathered(parts, layout.classes, sized.event_shape, changes.highest, notes)


def _empty_classes(parts: Mapping[str, GatheredPart], layout: Layout) -> list[str]:
    """Tell of classes whose pictures were all left out."""
    found = [part.labels for part in parts.values() if part.labels is not None]
    used = set(np.concatenate(found).tolist()) if found else set[int]()
    empty = [name for n, name in enumerate(layout.classes or ()) if n not in used]
    return [f"no picture is left of the classes {', '.join(empty[:_MOST_SHOWN])}"] if empty else []


class _OneSize:
    """A check that all pictures have the height and the width of the first.

    Attributes:
        event_shape: (C, H, W) of the pictures so far, with the most channels of one of them.
    """

    def __init__(self, pictures: Pictures, add: Callable[[np.ndarray], None]) -> None:
        self._pictures, self._add = pictures, add
        self.event_shape: tuple[int, ...] = ()
        self._grey = 0

    def add(self, rows: Iterable[Prepared | None]) -> list[int]:
        """Add pictures, and return the places of those that were not left out."""
        places = []
        for place, prepared in enumerate(rows):
            if prepared is None:
                continue
            shape = prepared.values.shape
            if self.event_shape[1:] not in ((), shape[1:]):
                raise _sizes_error(self._pictures)
            self.event_shape = max(self.event_shape, shape)
            self._grey += shape[0] == 1
            self._add(prepared.values)
            places.append(place)
        return places

    def notes(self) -> list[str]:
        """Tell of grey pictures that take three channels because others have colours."""
        if not self._grey or self.event_shape[0] == 1:
            return []
        return [f"{self._grey:,} are grey beside colours, with three channels made alike"]


def _labels(
    listing: Listing, places: list[int], classes: tuple[str, ...] | None
) -> np.ndarray | None:
    if listing.classes is None or classes is None:
        return None
    positions = {name: position for position, name in enumerate(classes)}
    return np.array([positions[listing.classes[place]] for place in places], np.int64)


def _none_left(path: Path, part: str, changes: Changes) -> DataError:
    return DataError(
        f"no picture of the {part} part of {path} can be read",
        why="; ".join(changes.notes()) or "it has none",
        fix="give pictures that other programs can open",
    )


def _sizes_error(pictures: Pictures) -> UnequalSizesError:
    """Return the error for pictures of several sizes, with how many have each."""
    sizes, first = pictures.sizes()
    common = sizes.most_common(_MOST_SIZES)
    found = [
        f"{n:,} of {width} × {height}, such as {first[width, height]}"
        for (width, height), n in common
    ]
    more = f"; and {len(sizes) - len(common):,} other sizes" if len(sizes) > len(common) else ""
    return UnequalSizesError(
        f"the pictures in {pictures.path} have different sizes",
        why=f"found {'; '.join(found)}{more}",
        fix="bring them to one size: --size 64 of `elboroom train` or `elboroom pack`, or --size "
        f"{common[0][0][0]}x{common[0][0][1]}",
    )
