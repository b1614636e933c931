"""Which rows train, which validate, which test."""

from dataclasses import dataclass

import numpy as np

from elboroom.data.source import Source
from elboroom.errors import DataError

_REFERENCE_ROWS = 10_000
_TEST_SHARE = 0.1


@dataclass(frozen=True)
class Rows:
    """Some rows of an array, which are named and not yet read: 8 bytes a row.

    Attributes:
        array: (M, *event).
        all_labels: (M,), or None.
        index: which rows, (N,) int64.
    """

    array: np.ndarray
    all_labels: np.ndarray | None
    index: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray, labels: np.ndarray | None) -> "Rows":
        """All rows of an array."""
        return cls(array, labels, np.arange(len(array)))

    @property
    def images(self) -> np.ndarray:
        """The images, read, (N, *event)."""
        return self.array[self.index]

    @property
    def labels(self) -> np.ndarray | None:
        """Their labels, (N,), or None."""
        return None if self.all_labels is None else self.all_labels[self.index]

    def __getitem__(self, rows: slice | np.ndarray) -> "Rows":
        return Rows(self.array, self.all_labels, self.index[rows])

    def __len__(self) -> int:
        return len(self.index)


def split(source: Source, name: str) -> tuple[Rows, Rows]:
    """Train and test rows of `source` under the split `name`."""
    rows = Rows.of(source.images, source.labels)
    if name == "reference":
        return _reference(rows)
    if source.test_images is not None:
        return rows, Rows.of(source.test_images, source.test_labels)
    return _hold_out(rows)


def _reference(rows: Rows) -> tuple[Rows, Rows]:
    if len(rows) < 2 * _REFERENCE_ROWS:
        raise DataError(
            "this data is too small for the reference split",
            why=f"the split needs {2 * _REFERENCE_ROWS:,} training rows, there are {len(rows):,}",
            fix="use --split standard",
        )
    return rows[:_REFERENCE_ROWS], rows[_REFERENCE_ROWS : 2 * _REFERENCE_ROWS]


def _hold_out(rows: Rows) -> tuple[Rows, Rows]:
    """A tenth for test, in an order that is fixed by the number of rows alone."""
    if len(rows) < 2:
        raise DataError(
            "one image cannot be split", why="a test part needs one too", fix="give more images"
        )
    keys = np.random.PCG64(len(rows)).random_raw(len(rows))
    order = np.argsort(keys, kind="stable")
    count = max(1, round(_TEST_SHARE * len(rows)))
    return rows[np.sort(order[count:])], rows[np.sort(order[:count])]
