"""Pictures of a folder or an archive as arrays of one size."""

import math
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.gathered import Pictures, gather
from elboroom.data.formats.names import AbsentArraysError
from elboroom.data.formats.picture_set import open_pictures
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.data.source import Source, SourcePart
from elboroom.errors import DataError, command


def read_folder(path: Path, config: DataConfig) -> Source:
    """Read pictures as uint8 (N, C, H, W): grey if all of them are, else RGB.

    A label is the position of the class among the names in natural order, in which 2 comes before
    10. Files that are no pictures, hidden names and those that systems leave are passed over.

    Args:
        path: the folder, the `.zip` or the `.tar`; a symbolic link may lead to it, but not within.
        config: its recipe for pictures; its `memory` is the GiB that the images may take.

    Raises:
        DataError: if no pictures are left, if they differ in size and the recipe keeps sizes, if
            one is broken, or if they do not fit into `memory`.
    """
    with open_folder(path, config) as pictures:
        return read_pictures(pictures, config)


def open_folder(path: Path, config: DataConfig) -> AbstractContextManager[Pictures]:
    """Open the pictures of a folder, of a `.zip` or of a `.tar`, as `read_folder` reads them.

    Raises:
        DataError: if there are no pictures, or it is a run.
        AbsentArraysError: if the options leave arrays out, of which pictures have none.
    """
    if config.unused:
        raise AbsentArraysError(path.name, config.unused, [])
    if (path / "config.toml").is_file():
        raise _run_error(path)
    return open_pictures(path, config.memory)


def read_pictures(pictures: Pictures, config: DataConfig) -> Source:
    """Read pictures as `read_folder` does."""
    stack, name = _Stack(pictures, config), pictures.path.resolve().name
    found = gather(pictures, config, stack.add)
    images = stack.divided({part: len(each.files) for part, each in found.parts.items()})
    require_scale_of_pictures(name, images, found.highest, config)
    parts = {
        part: SourcePart(
            images[part], each.labels, each.files, origin=part if len(images) > 1 else ""
        )
        for part, each in found.parts.items()
    }
    return Source(
        name=name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        classes=found.classes,
        white=255.0,
        notes=found.notes,
    )


class _Stack:
    """Pictures of one size, one after another.

    Grey ones get three channels as soon as one has colours. The memory is asked for at once, before
    a picture is read if its size is known, and taken as it is filled.

    Args:
        pictures: the pictures, for their number and for errors.
        config: its `memory`, and the size that pictures are brought to.

    Raises:
        DataError: if so many pictures of that size do not fit into memory.
    """

    def __init__(self, pictures: Pictures, config: DataConfig) -> None:
        self._pictures, self._config = pictures, config
        self._images, self._filled = np.empty((0, 0, 0, 0), np.uint8), 0
        if config.picture_size is not None:
            self._require_fit((1, *config.picture_size))

    def add(self, values: np.ndarray) -> None:
        """Add a picture (C, H, W) of the same height and width.

        Raises:
            DataError: if all pictures do not fit into memory.
        """
        if self._filled == 0:
            self._images = self._allocated(values.shape)
        if len(values) > self._images.shape[1]:
            grey, self._images = self._images, self._allocated(values.shape)
            self._images[: self._filled] = grey[: self._filled]
        self._images[self._filled] = values
        self._filled += 1

    def divided(self, counts: dict[str, int]) -> dict[str, np.ndarray]:
        """Return the pictures of each part, by the number of its pictures."""
        ends = np.cumsum(list(counts.values()))
        return dict(zip(counts, np.split(self._images[: self._filled], ends[:-1]), strict=True))

    def _allocated(self, event_shape: tuple[int, ...]) -> np.ndarray:
        self._require_fit(event_shape)
        return np.empty((len(self._pictures), *event_shape), np.uint8)

    def _require_fit(self, event_shape: tuple[int, ...]) -> None:
        path, size = self._pictures.path, len(self._pictures) * math.prod(event_shape)
        fix = _pack(path, self._config)
        require_fit(path, size, self._config.memory, what="its pictures", fix=fix)


def _pack(path: Path, config: DataConfig) -> str:
    options = [word for option in config.picture_options for word in option.split(" ", 1)]
    line = command("pack", path, f"{path.stem}.npy", *options)
    return f"pack them into an array, which can stay on disk: {line}"


def _run_error(path: Path) -> DataError:
    return DataError(
        f"{path} is a run, not a folder of pictures",
        why="it contains a config.toml",
        fix=f"give the folder of the pictures, or resume the run with --resume {path}",
    )
