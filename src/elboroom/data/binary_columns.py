"""Columns of 0 and 1 beside columns of real numbers, such as one-hot categories in a table."""

import numpy as np

from elboroom.data.column_notes import named
from elboroom.data.source import Source, in_chunks


def binary_column_notes(source: Source) -> list[str]:
    """Describe the columns of the training rows that are 0 or 1, for other vectors of reals."""
    rows = source.train.images
    if rows.ndim != 2 or rows.dtype.kind != "f":
        return []
    zeros, ones, known = (
        np.sum([found(chunk).sum(0) for chunk in in_chunks(rows)], axis=0)
        for found in (lambda x: x == 0, lambda x: x == 1, lambda x: ~np.isnan(x))
    )
    binary = (zeros > 0) & (ones > 0) & (zeros + ones == known)
    if not binary.any() or binary.all():
        return []
    return [
        f"only 0 and 1 stand in {named(np.flatnonzero(binary))}, beside real numbers: all columns "
        "have one likelihood, which takes these as real numbers too"
    ]
