"""elboroom's imputation of tables, in a process of its own.

python -m benchmarks.runners.table_imputer TASK.npz RESULT.npz [TASK.npz RESULT.npz …]
"""

import sys

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.peers.table_task import Filled, Task, answer
from elboroom.config import DataConfig
from elboroom.data import Dataset
from elboroom.imputation import ensemble_of, impute, recipe, train_ensemble
from elboroom.imputation.recipe import WITHHELD

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
    names = [str(column) for column in range(len(types))]
    frame = pd.DataFrame(table, columns=names)
    varies = np.nanstd(table, axis=0) > 0
    kinds = {n: t if v else "ignore" for n, t, v in zip(names, types, varies, strict=True)}
    data = Dataset.from_frame(frame, columns=kinds, config=DataConfig(withhold=WITHHELD))
    assert data.reading is not None
    schema = data.reading.schema
    assert schema is not None
    configs = recipe(DataConfig(), len(table), schema.likelihoods, seed=seed)
    ensemble = ensemble_of(train_ensemble(data, configs))
    x = data.part("all").x
    found = impute(ensemble, x, ~x.isnan(), draws=draws, seed=seed)
    tables, decode = [found.mean, *found.draws], schema.decoder(frame)
    mean, *drawn = (_numbers(decode(one.double().numpy())) for one in tables)
    return {"mean": mean, "draws": np.stack(drawn)}


def _numbers(frame: pd.DataFrame) -> Array:
    """Return a filled table as numbers; a column that never varies keeps its value."""
    return frame.astype(float).fillna(frame.astype(float).mean()).to_numpy()


def filled(task: Task) -> Filled:
    """Fill the table of a task."""
    found = impute_with_elboroom(task.x, task.types, task.draws, task.seed)
    return Filled(task.complete(found["mean"]), task.complete(found["draws"]))


if __name__ == "__main__":
    answer(filled, tuple(sys.argv[1:]))
