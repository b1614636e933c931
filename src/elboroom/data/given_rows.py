"""Rows that an object of Python gives one by one, such as a torch or a Hugging Face dataset."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from elboroom.data.formats.names import role_of
from elboroom.data.formats.picture_rows import Changes, PictureRow
from elboroom.data.formats.pictures import Recipe, without_warnings
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.data.given_arrays import as_arrays
from elboroom.data.source import Source
from elboroom.errors import DataError

_NO_ROWS = (str, bytes, PathLike, Mapping, np.ndarray, Tensor, DataLoader)
"""Types that are no rows, or several: their items are letters, keys, numbers or batches."""
_AS_NPY = "give fewer or smaller rows, or save them by numpy.save as a .npy, which can stay on disk"


def source_of_rows(
    parts: Mapping[str, Iterable[object]], class_names: Sequence[str] | None, config: DataConfig
) -> Source:
    """Read rows: pictures of Pillow by the rules of a folder of them, others by those of arrays.

    Args:
        parts: what gives the rows of train, and of validation and test if there are any.
        class_names: the names that labels count from 0; None if there are none.
        config: its source names the data; its recipe prepares pictures; its `memory` is the GiB
            that the rows may take.

    Raises:
        DataError: if a row is neither a picture nor an array, has fields that would not be used or
            another shape than the first, or if all of them do not fit into memory.
    """
    read = _Reader(config)
    with without_warnings():
        given = {part: read.part(part, rows) for part, rows in parts.items()}
    images = _of_equal_channels({f"x_{part}": rows.values for part, rows in given.items()})
    labels = {f"y_{part}": _labels(rows.labels) for part, rows in given.items() if rows.labels}
    names = None if class_names is None else np.array(class_names)
    arrays = as_arrays({**images, **labels, "class_names": names})
    if not read.are_pictures:
        require_no_recipe(config.source, config)
        return source_of(config.source, arrays, config).with_origins()
    require_scale_of_pictures(config.source, images, read.changes.highest, config)
    source = source_of(config.source, arrays, config).with_origins()
    return replace(source, white=255.0, notes=(*read.changes.notes(), *source.notes))


@dataclass
class _Given:
    """The rows of a part, and their labels, of which there are none or one for each."""

    values: list[np.ndarray] = field(default_factory=list)
    labels: list[object] = field(default_factory=list)


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
        self._bytes = 0

    def part(self, part: str, rows: Iterable[object]) -> _Given:
        """Read the rows of a part."""
        found = _Given()
        for number, item in enumerate(_items(rows)):
            name = f"row {number:,} of {part}"
            values, *label = _fields(name, item)
            event = self._event(name, values)
            if event is not None:
                self._require_room(name, event, found.values)
                found.values.append(event)
                found.labels += label
        if not found.values or len(found.labels) not in (0, len(found.values)):
            raise _uneven(self._config.source, part, found)
        return found

    def _event(self, name: str, values: Any) -> np.ndarray | None:
        """Return a row as an array; None for a picture that is left out since it is broken."""
        is_picture = isinstance(values, Image.Image)
        if self.are_pictures not in (None, is_picture):
            raise _row_error(name, "pictures and arrays are mixed", "make all rows alike")
        self.are_pictures = is_picture
        if not isinstance(values, Image.Image):
            return as_arrays({name: values})[name]
        (prepared,) = self.changes.kept([self._prepared(name, values)], self._config.broken)
        return None if prepared is None else prepared.values

    def _prepared(self, name: str, picture: Image.Image) -> PictureRow:
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
            raise _row_error(name, found, fix)
        self._bytes += event.nbytes
        path, memory = Path(self._config.source), self._config.memory
        require_fit(path, self._bytes, memory, what="the rows so far", fix=_AS_NPY)


def _items(rows: Iterable[object]) -> Iterator[object]:
    """Yield what an object gives one by one; a torch dataset may know its length alone."""
    if isinstance(rows, _NO_ROWS):
        raise _no_rows(rows)
    if isinstance(rows, TorchDataset) and not isinstance(rows, IterableDataset):
        return (rows[number] for number in range(len(rows)))  # type: ignore[arg-type]  # by custom
    return iter(rows)


def _fields(name: str, item: object) -> list[object]:
    """Return the values of a row, and its label if it has one."""
    if isinstance(item, Mapping):
        return _fields_by_name(name, item)
    if not isinstance(item, tuple):
        return [item]
    if len(item) not in (1, 2):
        fix = "give (x, y), or x alone, such as by a generator ((x, y) for x, y, *_ in dataset)"
        raise _row_error(name, f"found {len(item)} fields; expected x, or x and its label", fix)
    return list(item)


def _fields_by_name(name: str, item: Mapping[object, object]) -> list[object]:
    labels = [key for key in item if _kind(key) == "labels"]
    others = [key for key in item if key not in labels]
    if len(others) != 1 or len(labels) > 1:
        found = f"found the fields {', '.join(map(str, item))}; expected one of images or values, "
        fix = "leave out the others, such as by dataset.select_columns(['image', 'label'])"
        raise _row_error(name, found + "and perhaps a label", fix)
    return [item[key] for key in (*others, *labels)]


def _kind(key: object) -> str | None:
    role = role_of(key) if isinstance(key, str) else None
    return None if role is None else role.kind


def _labels(found: Sequence[object]) -> np.ndarray:
    """Return labels in a usual form: an array of their type, or of objects if some are missing."""
    plain = [label.cpu().numpy() if isinstance(label, Tensor) else label for label in found]
    return np.array(plain, object if any(label is None for label in plain) else None)


def _of_equal_channels(given: Mapping[str, Sequence[np.ndarray]]) -> dict[str, np.ndarray]:
    """Stack the rows of each part; grey pictures get three channels if another has colours."""
    channels = {len(row) for rows in given.values() for row in rows if row.ndim == 3}
    if channels != {1, 3}:
        return {name: np.stack(rows) for name, rows in given.items()}
    return {
        name: np.stack([np.broadcast_to(row, (3, *row.shape[1:])) for row in rows])
        for name, rows in given.items()
    }


def _row_error(name: str, why: str, fix: str) -> DataError:
    return DataError(f"{name} cannot be used", why=why, fix=fix)


def _uneven(source: str, part: str, found: _Given) -> DataError:
    return DataError(
        f"the {part} rows of {source} cannot be used",
        why=f"found {len(found.values):,} rows and {len(found.labels):,} labels",
        fix="give at least one row, and a label with each or with none",
    )


def _no_rows(rows: object) -> DataError:
    fix = "give an object whose items are rows, such as a torch Dataset"
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
