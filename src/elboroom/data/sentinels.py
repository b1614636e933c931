"""Sentinels: a value such as −999 that stands where others are missing, far from all the rest."""

import numpy as np

from elboroom.data.source import Source, in_chunks

_LEAST_COUNT = 3  # times that a sentinel occurs in a column
_GAP = 2.0  # its distance from the other values, in ranges of these


def sentinel_notes(source: Source) -> list[str]:
    """Describe the values of the training rows that look like sentinels, for vectors of reals."""
    rows = source.train.images
    if rows.ndim != 2 or rows.dtype.kind != "f":
        return []
    return [note for sign in (1.0, -1.0) for note in _notes(rows, sign)]


def _notes(rows: np.ndarray, sign: float) -> list[str]:
    """Return a note for each value that is the least of a column (sign 1) and far below the rest.

    With sign −1 it is the largest, and far above.
    """
    least = _fold(rows, sign, np.full(rows.shape[1], -np.inf), np.fmin)
    second = _fold(rows, sign, least, np.fmin)
    most = _fold(rows, sign, np.full(rows.shape[1], -np.inf), np.fmax)
    count = np.sum([(sign * chunk == least).sum(0) for chunk in in_chunks(rows)], axis=0)
    far = (count >= _LEAST_COUNT) & (second - least > _GAP * (most - second)) & (most > second)
    return [
        f"{sign * value:g} stands in {100 * count[columns].mean() / len(rows):.3g} % of "
        f"{named(np.flatnonzero(columns))}, far from the other values: if it means missing, "
        "save NaN in its place"
        for value in np.unique(least[far])
        for columns in [far & (least == value)]
    ]


def _fold(rows: np.ndarray, sign: float, above: np.ndarray, take: np.ufunc) -> np.ndarray:
    """Reduce the values of each column that lie above a bound, after multiplying by a sign."""
    found = np.full(rows.shape[1], np.nan)
    for chunk in in_chunks(rows):
        signed = sign * chunk
        found = take(found, take.reduce(np.where(signed > above, signed, np.nan), axis=0))
    return found


def named(columns: np.ndarray) -> str:
    """Name the first of some columns, and count the others."""
    more = f" and {len(columns) - 1} others" if len(columns) > 1 else ""
    return f"column {columns[0]}{more}"
