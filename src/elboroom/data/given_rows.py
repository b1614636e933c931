"""Rows that an object of Python gives one by one, such as a torch or a Hugging Face dataset."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from elboroom.config import DataConfig
from elboroom.data.formats.arrays import source_of
from elboroom.data.formats.errors import require_fit, require_no_recipe
from elboroom.data.formats.names import AbsentArraysError
from elboroom.data.formats.picture_changes import Changes
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import Recipe, without_warnings
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.data.given_arrays import as_arrays
from elboroom.data.row_fields import RowFields, is_picture, row_error
from elboroom.data.row_labels import GivenLabels, arrays_of_labels
from elboroom.data.source import Source
from elboroom.errors import DataError

_NO_ROWS = (str, bytes, PathLike, Mapping, np.ndarray, Tensor, DataLoader)
"""Types that are no rows, or several: their items are letters, keys, numbers or batches."""
_AS_NPY = "give fewer or smaller rows, or save them by numpy.save as a .npy, which can stay on disk"
_GROUPS = "groups"  # the name of the array of groups


def source_of_rows(
    parts: Mapping[str, Iterable[object] | TorchDataset[object]],
    class_names: Sequence[str] | None,
    config: DataConfig,
) -> Source:
    """Read rows: pictures of Pillow by the rules of a folder of them, others by those of arrays.

    Args:
        parts: what gives the rows of train, and of validation and test if there are any.
        class_names: the names that labels count from 0; None takes those that the rows say.
        config: its source names the data; its recipe prepares pictures; its `unused` names fields
            to leave out, its `group_by` the field of the groups of the training rows; its `memory`
            is the GiB that the rows may take.

    Raises:
        DataError: if a row is neither a picture nor an array, has fields that would not be used or
            another shape than the first, or if all of them do not fit into memory.
    """
    read = _Reader(config)
    with without_warnings():
        given = {part: read.part(part, rows) for part, rows in parts.items()}
    read.require_unused()
    images = _of_equal_channels({f"x_{part}": rows.values for part, rows in given.items()})
    labels = {
        f"y_{part}": GivenLabels(rows.labels, rows.classes)
        for part, rows in given.items()
        if rows.labels
    }
    _require_labels(labels, class_names)
    groups = {_GROUPS: np.array(given["train"].groups)} if given["train"].groups else {}
    arrays = as_arrays({**images, **arrays_of_labels(labels, class_names), **groups})
    config = replace(config, unused=(), group_by=_GROUPS if groups else config.group_by)
    if read.are_pictures:
        require_scale_of_pictures(config.source, images, read.changes.highest, config)
    else:
        require_no_recipe(config.source, config)
    source = source_of(config.source, arrays, config).with_origins()
    white = 255.0 if read.are_pictures else source.white
    return replace(source, white=white, notes=(*read.notes(), *source.notes))


@dataclass
class _Given:
    """The rows of a part, with the labels and the groups of those that have one.

    Attributes:
        classes: the names that labels count from 0, if the rows say them.
    """

    classes: tuple[str, ...] | None = None
    values: list[np.ndarray] = field(default_factory=list)
    labels: list[object] = field(default_factory=list)
    groups: list[object] = field(default_factory=list)


class _Reader:
    """A reader of rows, which are all pictures or all arrays.

    Attributes:
        changes: what reading changed in pictures.
        are_pictures: True if the first row is a picture; None before it is read.
    """

    def __init__(self, config: DataConfig) -> None:
        self._config, self._recipe = config, Recipe.of(config)
        self.changes = Changes(config.source, config.background)
        self.are_pictures: bool | None = None
        self._left_out = dict[str, None]()
        self._bytes = 0

    def part(self, part: str, rows: Iterable[object] | TorchDataset[object]) -> _Given:
        """Read the rows of a part."""
        fields, found = RowFields.of(rows, self._config), _Given()
        for name, item in _named(part, rows):
            row = fields.row(name, item)
            self._left_out |= dict.fromkeys(row.left_out)
            event = self._event(name, row.values)
            if event is not None:
                self._require_room(name, event, found.values)
                found.values.append(event)
                found.labels += row.labels
                found.groups += row.groups
            found.classes = row.classes
        if not found.values or len(found.labels) not in (0, len(found.values)):
            raise _uneven(self._config.source, part, found)
        return found

    def require_unused(self) -> None:
        """Check that some row had each of the fields that the options leave out."""
        absent = [name for name in self._config.unused if name not in self._left_out]
        if absent:
            raise AbsentArraysError(self._config.source, absent, self._left_out)

    def notes(self) -> list[str]:
        """Return what the user should know of the rows, in short phrases."""
        left_out = [f"left out the fields {', '.join(self._left_out)}"] if self._left_out else []
        return [*self.changes.notes(), *left_out]

    def _event(self, name: str, values: Any) -> np.ndarray | None:
        """Return a row as an array; None for a picture that is left out since it is broken."""
        if self.are_pictures is None:
            self.are_pictures = is_picture(values)
        if values is not None and is_picture(values) != self.are_pictures:
            raise row_error(name, "pictures and arrays are mixed", "make all rows alike")
        if not self.are_pictures:
            return _as_array(name, values)
        (prepared,) = self.changes.kept([self._prepared(name, values)], self._config.broken)
        return None if prepared is None else prepared.values

    def _prepared(self, name: str, picture: Any) -> PictureRow:
        if not isinstance(picture, Image.Image):
            return PictureRow.read(name, partial(_content, picture), self._recipe)
        try:
            return PictureRow(name, self._recipe.apply(picture))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # a damaged picture raises any; it is told
            return PictureRow(name, None, why=str(error) or "it is damaged")

    def _require_room(self, name: str, event: np.ndarray, before: Sequence[np.ndarray]) -> None:
        """Check that a row is of the shape of those before it, and fits beside them."""
        start = 1 if self.are_pictures else 0  # grey pictures are given the channels of others
        if before and before[0].shape[start:] != event.shape[start:]:
            fix = "bring pictures to one size by DataConfig(size='64'), arrays to one shape"
            found = f"found shape {event.shape}; the first row of the part has {before[0].shape}"
            raise row_error(name, found, fix)
        self._bytes += event.nbytes
        path, memory = Path(self._config.source), self._config.memory
        require_fit(path, self._bytes, memory, what="the rows so far", fix=_AS_NPY)


def _named(
    part: str, rows: Iterable[object] | TorchDataset[object]
) -> Iterator[tuple[str, object]]:
    """Yield the rows that an object gives, each with its name, which its errors are told, too."""
    items = _items(rows)
    for number in count():
        name = f"row {number:,} of {part}"
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(f"raised by a {type(rows).__name__} that was asked for {name}")
            raise
        yield name, item


def _items(rows: Iterable[object] | TorchDataset[object]) -> Iterator[object]:
    """Return the items of an object; a torch dataset may know its length alone."""
    if isinstance(rows, TorchDataset) and not isinstance(rows, IterableDataset):
        if not isinstance(rows, Sized):
            raise _no_rows(rows)
        return (rows[number] for number in range(len(rows)))
    if isinstance(rows, _NO_ROWS) or not isinstance(rows, Iterable):
        raise _no_rows(rows)
    return iter(rows)


def _as_array(name: str, values: Any) -> np.ndarray:
    if values is None:
        raise row_error(name, "found None", "give an array or a picture for each row")
    return as_arrays({name: values})[name]


def _content(picture: bytes | Mapping[str, bytes | None] | None) -> bytes:
    """Return the bytes of a picture's file."""
    content = picture["bytes"] if isinstance(picture, Mapping) else picture
    if content is None:
        raise ValueError("there are no bytes of it, at most its path, which is not followed")
    return content


def _require_labels(labels: Mapping[str, GivenLabels], names: Sequence[str] | None) -> None:
    """Check that names of classes are several, and that there are labels that count them."""
    if names is not None and (isinstance(names, str) or not labels):
        found = f"found {names!r}" if isinstance(names, str) else "found no row with a label"
        raise DataError(
            "class_names cannot be used",
            why=f"{found}; expected the name of each class, and labels that count them from 0",
            fix="give class_names=['first', 'second'] for rows (x, y), or leave them out",
        )


def _of_equal_channels(given: Mapping[str, Sequence[np.ndarray]]) -> dict[str, np.ndarray]:
    """Stack the rows of each part; grey pictures get three channels if another has colours."""
    channels = {len(row) for rows in given.values() for row in rows if row.ndim == 3}
    if channels != {1, 3}:
        return {name: np.stack(rows) for name, rows in given.items()}
    return {
        name: np.stack([np.broadcast_to(row, (3, *row.shape[1:])) for row in rows])
        for name, rows in given.items()
    }


def _uneven(source: str, part: str, found: _Given) -> DataError:
    return DataError(
        f"the {part} rows of {source} cannot be used",
        why=f"found {len(found.values):,} rows and {len(found.labels):,} labels",
        fix="give at least one row, and a label with each or with none",
    )


def _no_rows(rows: object) -> DataError:
    fix = "give an object whose items are rows, such as a torch Dataset with a length"
    if isinstance(rows, np.ndarray | Tensor):
        fix = "give an array as it is: Dataset.from_arrays(x_train)"
    elif isinstance(rows, DataLoader):
        fix = "give the rows of the loader one by one: Dataset.from_rows(loader.dataset)"
    elif isinstance(rows, Mapping):
        fix = "give its parts: Dataset.from_rows(parts['train'], parts['test'])"
    elif isinstance(rows, str | PathLike):
        fix = "read a file by load_data(DataConfig(source=…))"
    return DataError(
        f"a {type(rows).__name__} does not give rows", why="expected one row for each item", fix=fix
    )
