"""Pictures of a folder as arrays of one size."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.picture_layout import Listing
from elboroom.data.formats.picture_rows import Changes
from elboroom.data.formats.picture_set import PictureSet, open_pictures
from elboroom.data.formats.pictures import Prepared, Recipe
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.data.source import Source, SourcePart
from elboroom.errors import DataError

_MOST_SIZES = 3  # in an error


def read_folder(path: Path, config: DataConfig) -> Source:
    """Read pictures as uint8 (N, C, H, W): grey if all of them are, else RGB.

    A label is the position of the class among the names in natural order, in which 2 comes before
    10. Files that are no pictures, hidden names and those that systems leave are passed over.

    Args:
        path: the folder. It may be a symbolic link, but nothing in it may.
        config: its recipe for pictures; its `memory` is the GiB that the images may take.

    Raises:
        DataError: if no pictures are left, if they differ in size and the recipe keeps sizes, if
            one is broken, or if they do not fit into `memory`.
    """
    if (path / "config.toml").is_file():
        raise _run_error(path)
    with open_pictures(path) as pictures:
        return _read(pictures, config)


def _read(pictures: PictureSet, config: DataConfig) -> Source:
    layout, name = pictures.layout, pictures.path.resolve().name
    stack, changes = _Stack(pictures, config), Changes(str(pictures.path), config.background)
    recipe, places = Recipe.of(config), dict[str, list[int]]()
    for part in layout.parts:
        rows = changes.kept(pictures.read(part, recipe), config.broken)
        places[part] = _fill(stack, rows)
        if not places[part]:
            raise _none_left(pictures.path, part, changes)
    images = stack.divided({part: len(kept) for part, kept in places.items()})
    require_scale_of_pictures(name, images, changes.highest, config)
    parts = {
        part: SourcePart(
            images[part],
            _labels(listing, places[part], layout.classes),
            tuple(listing.files[place] for place in places[part]),
            origin=part if len(images) > 1 else "",
        )
        for part, listing in layout.parts.items()
    }
    return Source(
        name=name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        classes=layout.classes,
        white=255.0,
        notes=(*changes.notes(), *pictures.notes()),
    )


def _fill(stack: "_Stack", rows: Iterable[Prepared | None]) -> list[int]:
    """Put pictures on a stack; return the places of those that were not left out."""
    places = []
    for place, prepared in enumerate(rows):
        if prepared is not None:
            stack.add(prepared.values)
            places.append(place)
    return places


class _Stack:
    """Pictures of one size, one after another.

    Grey ones get three channels as soon as one has colours. The memory is asked for at once, and
    taken as it is filled.

    Args:
        pictures: the pictures, for their number and for errors.
        config: its `memory`.
    """

    def __init__(self, pictures: PictureSet, config: DataConfig) -> None:
        self._pictures, self._memory = pictures, config.memory
        self._images, self._filled = np.empty((0, 0, 0, 0), np.uint8), 0

    def add(self, values: np.ndarray) -> None:
        """Add a picture (C, H, W).

        Raises:
            DataError: if its size is another, or if all pictures do not fit into memory.
        """
        if self._filled == 0:
            self._images = self._allocated(values.shape)
        channels, *size = self._images.shape[1:]
        if list(values.shape[1:]) != size:
            raise _sizes_error(self._pictures)
        if len(values) > channels:
            grey, self._images = self._images, self._allocated(values.shape)
            self._images[: self._filled] = grey[: self._filled]
        self._images[self._filled] = values
        self._filled += 1

    def divided(self, counts: dict[str, int]) -> dict[str, np.ndarray]:
        """Return the pictures of each part, by the number of its pictures."""
        ends = np.cumsum(list(counts.values()))
        return dict(zip(counts, np.split(self._images[: self._filled], ends[:-1]), strict=True))

    def _allocated(self, event_shape: tuple[int, ...]) -> np.ndarray:
        path, shape = self._pictures.path, (len(self._pictures), *event_shape)
        size = int(np.prod(shape, dtype=np.int64))
        require_fit(path, size, self._memory, what="its pictures", fix=_pack(path))
        return np.empty(shape, np.uint8)


def _labels(
    listing: Listing, places: list[int], classes: tuple[str, ...] | None
) -> np.ndarray | None:
    if listing.classes is None or classes is None:
        return None
    positions = {name: position for position, name in enumerate(classes)}
    return np.array([positions[listing.classes[place]] for place in places], np.int64)


def _pack(path: Path) -> str:
    return f"pack them into an array, which can stay on disk: elboroom pack {path} {path.stem}.npy"


def _run_error(path: Path) -> DataError:
    return DataError(
        f"{path} is a run, not a folder of pictures",
        why="it contains a config.toml",
        fix=f"give the folder of the pictures, or resume the run with --resume {path}",
    )


def _none_left(path: Path, part: str, changes: Changes) -> DataError:
    return DataError(
        f"no picture of the {part} part of {path} can be read",
        why="; ".join(changes.notes()),
        fix="give pictures that other programs can open",
    )


def _sizes_error(pictures: PictureSet) -> DataError:
    """Return the error for pictures of several sizes, with how many have each."""
    sizes, first = pictures.sizes()
    common = sizes.most_common(_MOST_SIZES)
    found = [
        f"{n:,} of {width} × {height}, such as {first[width, height]}"
        for (width, height), n in common
    ]
    more = f"; and {len(sizes) - len(common):,} other sizes" if len(sizes) > len(common) else ""
    return DataError(
        f"the pictures in {pictures.path} have different sizes",
        why=f"found {'; '.join(found)}{more}",
        fix="bring them to one size: --size 64 of `elboroom train` or `elboroom pack`, or --size "
        f"{common[0][0][0]}x{common[0][0][1]}",
    )
