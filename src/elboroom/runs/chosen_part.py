"""The part of some data that a command looks at, and the names of its rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elboroom.config import PartName
from elboroom.data import Dataset, Identity, Part
from elboroom.data.identity import WHOLE


@dataclass(frozen=True)
class ChosenPart:
    """A part of the run's own data, or all rows of new data.

    Attributes:
        data: the data that the rows are of.
        name: name of the part; "all" for new data.
        rows: the part.
    """

    data: Dataset
    name: PartName
    rows: Part

    @classmethod
    def of(cls, data: Dataset, name: PartName) -> "ChosenPart":
        """Choose a part of the run's own data by name."""
        return cls(data, name, data.part(name))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def identity(self) -> Identity:
        """The identity of the data."""
        return self.data.identity

    @property
    def is_new(self) -> bool:
        """True if the data are not those of the run."""
        return self.identity.split == WHOLE

    @property
    def is_own_test_part(self) -> bool:
        """True if this is the test part of the run's own data."""
        return self.name == "test"


def row_arrays(part: Part, index: list[int] | None = None) -> dict[str, Any]:
    """Return what names rows of a part in its source, as arrays for a file of results.

    Args:
        part: the part.
        index: N rows of the part; None for all.

    Returns:
        `row` (N,) int64, the number of each row in its array or listing of the source; `file` (N,),
        if rows have files; and `array` (), the name of the array, if the source has several.
    """
    rows = range(len(part)) if index is None else index
    named: dict[str, Any] = {"row": part.numbers[list(rows)]}
    if part.files is not None:
        named["file"] = np.array([part.files[row] for row in rows])
    if part.origin:
        named["array"] = part.origin
    return named


def row_table(part: Part, row: int) -> dict[str, Any]:
    """Return what names one row of a part in its source, as entries of a JSON table."""
    file = {} if part.files is None else {"file": part.files[row]}
    array = {"array": part.origin} if part.origin else {}
    return {"row": int(part.numbers[row])} | file | array


def row_name(part: Part, row: int) -> str:
    """Name one row of a part in its source for people, such as "row 131, cats/7.png"."""
    where = f"row {part.numbers[row]:,}" + (f" of {part.origin}" if part.origin else "")
    return where if part.files is None else f"{where}, {part.files[row]}"
