"""Rows as their file has them: completions are written in their type, scale and layout."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elboroom.data.part import Part
from elboroom.data.sharded_array import Stored
from elboroom.data.source import Source

_WHOLE = 1e-3  # distance of a level from a whole number after its scaling in float32


@dataclass(frozen=True)
class StoredRows:
    """Rows of a source, before they were made events of a model.

    Attributes:
        values: (N, ...), in the type and the layout of the file; channels may be absent or last.
        event_shape: shape of one row for the model.
        unit: the stored value that stands for 1 in the model.
    """

    values: np.ndarray
    event_shape: tuple[int, ...]
    unit: float

    @classmethod
    def of(cls, source: Source, part: Part) -> "StoredRows":
        """Return the rows of a part of a source, in the order of the part."""
        parts = [p for p in source.parts if p.origin == part.origin] or source.parts
        stored = [p.images if p.stored is None else p.stored for p in parts]
        values = _take(stored, part.numbers)
        x = _take([p.images for p in parts], part.numbers) / source.white
        event_shape = tuple(x.shape[1:])
        return cls(values, event_shape, _unit(_as_events(values, event_shape), x))

    @property
    def real_type(self) -> np.dtype:
        """The type in which new values are computed: real, and exact for every stored value."""
        small = np.can_cast(self.values.dtype, np.float32)
        return np.dtype(np.float32 if small else np.float64)

    def fill(self, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Put values of the model where nothing is seen.

        Args:
            x: (..., N, *event), in the values of the model.
            seen: (N, *event), True where the stored value is kept, bit for bit.

        Returns:
            (..., N, ...) in the layout of the file: in its type if all new values are in its range
            and, for a type of whole numbers, whole; else in `real_type`. New values are rounded to
            whole ones beside stored numbers above 2⁵³, which no real type holds.
        """
        filled, stored = self._in_unit(x), _as_events(self.values, self.event_shape)
        if not _is_exact(stored, self.real_type):
            filled = np.rint(filled)
        if _fit(filled[..., ~seen], self.values.dtype):
            whole = np.rint(filled) if self.values.dtype.kind in "bui" else filled
            filled = np.where(seen, 0, whole).astype(self.values.dtype)
        return self._in_layout(np.where(seen, stored.astype(filled.dtype), filled))

    def spread(self, deviation: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Return standard deviations (N, *event) in the unit and layout of the file, 0 if seen."""
        return self._in_layout(np.where(seen, 0, self._in_unit(deviation)))

    def mask(self, seen: np.ndarray) -> np.ndarray:
        """Return a mask (N, *event) in the layout of the file."""
        return self._in_layout(seen)

    def _in_unit(self, x: np.ndarray) -> np.ndarray:
        return x.astype(self.real_type) * self.real_type.type(self.unit)

    def _in_layout(self, events: np.ndarray) -> np.ndarray:
        """Move the channels of (..., N, *event) to where the file has them, if it has any."""
        layout = self.values.shape[1:]
        if layout == self.event_shape:
            return events
        last = np.moveaxis(events, -len(self.event_shape), -1)
        return last if layout == last.shape[-len(layout) :] else last[..., 0]


def _take(arrays: Sequence[Stored], rows: np.ndarray) -> np.ndarray:
    """Return rows of arrays that are numbered through, without reading others."""
    ends = np.cumsum([len(array) for array in arrays])
    number = np.searchsorted(ends, rows, side="right")
    taken = np.empty((len(rows), *arrays[0].shape[1:]), np.result_type(*(a.dtype for a in arrays)))
    for place, (array, end) in enumerate(zip(arrays, ends, strict=True)):
        here = number == place
        taken[here] = array[rows[here] - (end - len(array))]
    return taken


def _as_events(values: np.ndarray, event_shape: tuple[int, ...]) -> np.ndarray:
    """Return stored rows as (N, *event): with a channel if they lack one, with channels first."""
    if values.shape[1:] == event_shape:
        return values
    if values.shape[1:] == event_shape[1:]:
        return values[:, None]
    return np.moveaxis(values, -1, 1)


def _unit(values: np.ndarray, x: np.ndarray) -> float:
    """Return the ratio of stored values to those of the model, which is a whole number."""
    known = ~np.isnan(x)
    top = np.abs(x[known]).max(initial=0)
    return 1.0 if top == 0 else float(np.rint(np.abs(values[known].astype(float)).max() / top))


def _is_exact(values: np.ndarray, dtype: np.dtype) -> bool:
    """Return True if a real type holds every one of some values."""
    if values.dtype.kind not in "iu":
        return True
    most = 1 << (np.finfo(dtype).nmant + 1)
    return bool(-most <= int(values.min()) and int(values.max()) <= most)


def _fit(new: np.ndarray, dtype: np.dtype) -> bool:
    """Return True if a type can hold all values, which must be whole for one of whole numbers."""
    if dtype.kind == "f":
        return bool(np.abs(new).max(initial=0) <= np.finfo(dtype).max)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    whole = np.rint(new)
    return bool(((np.abs(new - whole) <= _WHOLE) & (low <= whole) & (whole <= high)).all())
