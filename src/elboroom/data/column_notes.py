"""Notes on the columns of a table: empty, constant, or with a value that may mean missing."""

import numpy as np

from elboroom.data.source import Source, in_chunks

_LEAST_COUNT = 3  # times that a sentinel occurs in a column
_GAP = 2.0  # its distance from the other values, in ranges of these


def column_notes(source: Source) -> list[str]:
    """Describe the columns of the training rows that a user should look at, for reals."""
    rows = source.train.images
    if rows.ndim != 2 or rows.dtype.kind != "f":
        return []
    least, most = (_fold(rows, 1.0, _nothing(rows), take) for take in (np.fmin, np.fmax))
    notes = _empty(least) + _constant(least, most)
    return notes + _sentinels(rows, 1.0, least, most) + _sentinels(rows, -1.0, -most, -least)


def _empty(least: np.ndarray) -> list[str]:
    columns = np.flatnonzero(np.isnan(least))
    if not len(columns):
        return []
    return [f"no row has a value in {named(columns)}: what is filled in there is made up"]


def _constant(least: np.ndarray, most: np.ndarray) -> list[str]:
    columns = np.flatnonzero(least == most)
    if not len(columns):
        return []
    found = f"{named(columns)} never varies, from {least[columns[0]]:g}"
    return [f"{found}: it adds an arbitrary constant to log p(x), so leave it out"]


def _sentinels(rows: np.ndarray, sign: float, least: np.ndarray, most: np.ndarray) -> list[str]:
    """Describe values that are the least of a column (sign 1), recur, and are far below the rest.

    With sign −1, and negated extremes, they are the largest and far above. A value such as −999
    stands where others are missing.
    """
    second = _fold(rows, sign, least, np.fmin)
    count = np.sum([(sign * chunk == least).sum(0) for chunk in in_chunks(rows)], 0)
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


def _nothing(rows: np.ndarray) -> np.ndarray:
    return np.full(rows.shape[1], -np.inf)


def named(columns: np.ndarray) -> str:
    """Name the first of some columns, and count the others."""
    more = f" and {len(columns) - 1} others" if len(columns) > 1 else ""
    return f"column {columns[0]}{more}"
