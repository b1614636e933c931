"""The complete tables that packages ship, as peers/table_data.py writes them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import peers

Array = npt.NDArray[np.float64]
STORE = Path(__file__).parents[2] / ".peers" / "tables"
"""Where tables, and what imputers made of them, are kept between runs."""
NAMES = (
    "iris",
    "wine",
    "penguins",
    "cars",
    "diabetes",
    "breast_cancer",
    "anes96",
    "fair",
    "randhie",
    "digits",
)


@dataclass(frozen=True)
class Table:
    """A complete table.

    Attributes:
        name: one of `NAMES`.
        x: (N, D); a level stands as its code 0 … C − 1.
        types: the type of each column.
        levels: C of each column with levels, else 0; (D,).
    """

    name: str
    x: Array
    types: list[str]
    levels: npt.NDArray[np.int64]


def load(name: str) -> Table:
    """Return a table; the first call writes all of them."""
    folder = STORE / "data"
    if not (folder / f"{name}.npz").exists():
        peers.run("table_data.py", folder)
    found = np.load(folder / f"{name}.npz")
    return Table(name, found["x"], found["types"].tolist(), found["levels"])
