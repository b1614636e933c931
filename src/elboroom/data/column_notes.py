"""Notes on columns: empty, constant, binary, numbers of rows, or with values that mean missing."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice

import numpy as np

from elboroom.data.measured_columns import MeasuredColumns, recurring
from elboroom.data.sharded_array import Stored, stays_on_disk
from elboroom.data.sharing import errors_of_all, own_rows, spread
from elboroom.data.source import Source, in_chunks, in_share


def column_notes(source: Source) -> list[str]:
    """Describe the columns of tables of reals, and the channels of images, worth a look.

    The rows, which may be on disk, are read once. Of images of reals some millions of values are
    looked at, and their channels are the columns. A schema has notes of its own.
    """
    rows = source.train.images
    if source.schema is not None:
        return []
    if rows.ndim != 2:
        return _constant_channels(rows) + _sentinels_of_channels(rows)
    if rows.dtype.kind != "f":
        return []
    found = _columns(rows, source.columns)
    notes = _empty(found)
    notes += _constant(found) + _row_numbers(found) if len(rows) > 1 else []
    for part in source.parts:
        place = "" if part is source.train else f" of {part.origin or 'a held-out part'}"
        columns = found if part is source.train else _columns(part.images, source.columns)
        notes += _sentinels(columns, "column", place)
    return notes + _binary(found)


def _columns(rows: Stored, names: tuple[str, ...]) -> MeasuredColumns:
    """Measure the columns of rows, of which ranks share those on disk."""
    on_disk = stays_on_disk(rows)
    with errors_of_all(on_disk=on_disk):
        chunks = map(MeasuredColumns.of, in_share(rows))
        mine = [reduce(MeasuredColumns.joined, chunks, first) for first in islice(chunks, 1)]
    ranks = spread([columns.arrays() for columns in mine], on_disk=on_disk)
    return replace(
        reduce(MeasuredColumns.joined, map(MeasuredColumns.from_arrays, ranks)), names=names
    )


def _empty(found: MeasuredColumns) -> list[str]:
    columns = np.flatnonzero(np.isnan(found.low.values[0]))
    if not len(columns):
        return []
    named = _named(columns, names=found.names)
    return [f"no row has a value in {named}: what is filled in there is made up"]


def _constant(found: MeasuredColumns) -> list[str]:
    columns = np.flatnonzero(found.low.values[0] == -found.high.values[0])
    if not len(columns):
        return []
    first = _named_constants(columns, float(found.low.values[0, columns[0]]), names=found.names)
    return [f"{first}: it adds an arbitrary constant to log p(x), so leave it out"]


def _row_numbers(found: MeasuredColumns) -> list[str]:
    columns = np.flatnonzero(found.counting)
    if not len(columns):
        return []
    named, first = _named(columns, names=found.names), found.ends[0, columns[0]]
    return [f"{named} counts the rows, from {first:g}: leave it out"]


def _constant_channels(images: Stored) -> list[str]:
    """Describe channels that have one value in all images, such as the alpha of opaque ones."""
    if images.ndim != 4 or images.shape[1] == 1 or len(images) == 1:
        return []
    first, varies = _firsts(images)
    channels = np.flatnonzero(~varies)
    if not len(channels):
        return []
    return [
        _named_constants(channels, float(first[channels[0], 0, 0]), "channel") + ": leave it out"
    ]


def _firsts(images: Stored) -> tuple[np.ndarray, np.ndarray]:
    """Return a value of each channel (C, 1, 1), and whether another value differs from it (C,)."""
    on_disk, own = stays_on_disk(images), own_rows(images)
    mine = list[dict[str, np.ndarray]]()
    with errors_of_all(on_disk=on_disk):
        if own.start < own.stop:
            first = np.array(images[own.start, :, :1, :1])
            differs = [(chunk != first).any((0, 2, 3)) for chunk in in_share(images)]
            mine = [{"first": first, "varies": np.any(differs, axis=0)}]
    ranks = spread(mine, on_disk=on_disk)
    first = ranks[0]["first"]
    varies = [rank["varies"] | (rank["first"] != first)[:, 0, 0] for rank in ranks]
    return first, np.any(varies, axis=0)


def _sentinels_of_channels(images: Stored) -> list[str]:
    if images.dtype.kind != "f":
        return []
    first = next(in_chunks(images))
    values = np.moveaxis(first, 1, -1).reshape(-1, images.shape[1])
    return _sentinels(MeasuredColumns.of(values), "channel", "")


def _sentinels(found: MeasuredColumns, noun: str, place: str) -> list[str]:
    """Describe values such as −999, which recur far from the rest and may stand for missing ones.

    A column may have a few of them, at either end, beside lone outliers. `place` is the part of the
    data, in words.
    """
    values, far = recurring(found)
    counts = np.concatenate([found.low.counts, found.high.counts])
    return [
        f"{value:g} stands in {100 * counts[here].mean() / found.number:.3g} % of "
        f"{_named(np.flatnonzero(here.any(0)), noun, found.names)}{place}, far from the other "
        "values: if it means missing, save NaN in its place"
        for value in np.unique(values[far])
        for here in [far & (values == value)]
    ]


def _binary(found: MeasuredColumns) -> list[str]:
    """Describe columns of two values, such as one-hot categories, beside columns of reals."""
    low, high = found.low.values, -found.high.values
    binary = (low[1] == high[0]) & (low[0] == high[1])
    if not binary.any() or binary.all():
        return []
    named = _named(np.flatnonzero(binary), names=found.names)
    return [
        f"only two values stand in {named}, beside real numbers: all "
        "columns have one likelihood, which takes these as real numbers too"
    ]


def _named_constants(
    columns: np.ndarray, first: float, noun: str = "column", names: Sequence[str] = ()
) -> str:
    verb = "varies" if len(columns) == 1 else "vary"
    return f"{_named(columns, noun, names)} never {verb}, from {first:g}"


def _named(columns: np.ndarray, noun: str = "column", names: Sequence[str] = ()) -> str:
    """Name the first of some columns, and count the others."""
    more = f" and {len(columns) - 1} others" if len(columns) > 1 else ""
    return f"{noun} {names[columns[0]] if names else columns[0]}{more}"
