"""elboroom's imputation of tables, in a process of its own.

python -m benchmarks.runners.table_imputer TASK.npz RESULT.npz [TASK.npz RESULT.npz …]
"""

import sys

import numpy as np
import numpy.typing as npt

from benchmarks.peers.table_task import Filled, Task, answer

Array = npt.NDArray[np.float64]


def impute_with_elboroom(table: Array, types: list[str], draws: int, seed: int) -> dict[str, Array]:
    """Train on a table, and fill it.

    Args:
        table: (N, D), NaN where an entry is missing; a level stands as its code 0 … C − 1.
        types: real, positive, count, binary, category or ordinal, for each column.
        draws: number m of imputations to draw.
        seed: the seed of all noise.

    Returns:
        `mean` (N, D): means of numbers and ordinals, the most probable level of the others; and
        `draws` (m, N, D).
    """
    raise NotImplementedError


def impute(task: Task) -> Filled:
    """Fill the table of a task."""
    found = impute_with_elboroom(task.x, task.types, task.draws, task.seed)
    return Filled(task.complete(found["mean"]), task.complete(found["draws"]))


if __name__ == "__main__":
    answer(impute, tuple(sys.argv[1:]))
