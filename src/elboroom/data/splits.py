"""The choice of rows for training and for test."""

import numpy as np

from elboroom.data.rows import Rows
from elboroom.data.source import Source
from elboroom.errors import DataError

_REFERENCE_ROWS = 10_000
_TEST_SHARE = 0.1


def split(source: Source, name: str) -> tuple[Rows, Rows]:
    """Return the train and test rows of `source` under the split `name`."""
    rows = Rows.of(source.train)
    if name == "reference":
        return _reference(rows)
    if source.test is not None:
        return rows, Rows.of(source.test)
    return _hold_out(rows)


def split_validation(train: Rows, count: int) -> tuple[Rows, Rows]:
    """Return `train` without its last `count` rows, and these.

    Raises:
        DataError: if nothing is left to train on.
    """
    if count >= len(train):
        raise DataError(
            f"--validation {count} leaves nothing to train on",
            why=f"the training part has {len(train):,} images",
            fix=f"take fewer than {len(train):,}",
        )
    return train[: len(train) - count], train[len(train) - count :]


def _reference(rows: Rows) -> tuple[Rows, Rows]:
    if len(rows) < 2 * _REFERENCE_ROWS:
        raise DataError(
            "this data is too small for the reference split",
            why=f"found {len(rows):,} training rows; the split needs {2 * _REFERENCE_ROWS:,}",
            fix="use --split standard",
        )
    return rows[:_REFERENCE_ROWS], rows[_REFERENCE_ROWS : 2 * _REFERENCE_ROWS]


def _hold_out(rows: Rows) -> tuple[Rows, Rows]:
    """Hold out a tenth for test, in an order that depends only on the number of rows."""
    if len(rows) < 2:
        raise DataError(
            "one row cannot be split",
            why="training and test need at least one row each",
            fix="give more rows",
        )
    keys = np.random.PCG64(len(rows)).random_raw(len(rows))
    order = np.argsort(keys, kind="stable")
    count = max(1, round(_TEST_SHARE * len(rows)))
    return rows[np.sort(order[count:])], rows[np.sort(order[:count])]
