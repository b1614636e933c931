"""Fill tables with an imputer of scikit-learn or miceforest, with its documented defaults.

python table_imputers.py METHOD TASK.npz RESULT.npz [TASK.npz RESULT.npz …]

Those of scikit-learn take numbers alone: a category becomes indicators, and the level of the
largest one is taken back; all columns are standardised.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from table_task import UNORDERED, Filled, Numbers, Task, answer, drawn, point

_TREES = 10  # as in scikit-learn's example of missForest
_ITERATIONS = 5  # R's mice; miceforest has no default, and its guide takes 2


def mean(task: Task) -> Filled:
    """Fill in the mean of a column of numbers or ordinals, else the commonest level."""
    filled = task.x.copy()
    for of, strategy in ((task.is_type(*UNORDERED), "most_frequent"), (None, "mean")):
        columns = ~task.is_type(*UNORDERED) if of is None else of
        if columns.any():
            filled[:, columns] = SimpleImputer(strategy=strategy).fit_transform(task.x[:, columns])
    return point(task, filled)


def knn(task: Task) -> Filled:
    """Fill in the mean of the 5 nearest rows."""
    return _numbers(task, KNNImputer())


def ridge(task: Task) -> Filled:
    """Regress each column on all others by Bayesian ridge, in turn."""
    return _numbers(task, IterativeImputer(random_state=task.seed))


def trees(task: Task) -> Filled:
    """Regress each column on all others by extra trees, in turn: missForest."""
    regressor = ExtraTreesRegressor(n_estimators=_TREES, random_state=task.seed)
    return _numbers(task, IterativeImputer(regressor, random_state=task.seed))


def _numbers(task: Task, imputer: object) -> Filled:
    numbers = Numbers(task)
    return point(task, numbers.decoded(imputer.fit_transform(numbers.encoded())))


def mice(task: Task) -> Filled:
    """Draw from the Bayesian ridge of each column on all others, in turn, from many seeds."""
    numbers, seeds = Numbers(task), task.seed * task.draws + np.arange(task.draws)
    imputers = [IterativeImputer(sample_posterior=True, random_state=seed) for seed in seeds]
    x = numbers.encoded()
    return drawn(task, numbers.decoded(np.stack([i.fit_transform(x) for i in imputers])))


def miceforest(task: Task) -> Filled:
    """Match the predictions of LightGBM for each column from all others, in turn."""
    frame = pd.DataFrame(task.x, columns=[f"c{number}" for number in range(task.x.shape[1])])
    for column in frame.columns[task.is_type(*UNORDERED)]:
        frame[column] = frame[column].astype("category")
    seeds = task.seed * task.draws + np.arange(task.draws)
    return drawn(task, np.stack([_one_data_set(frame, int(seed)) for seed in seeds]))


def _one_data_set(frame: pd.DataFrame, seed: int) -> np.ndarray:
    """Draw one imputation; a kernel of 20 keeps all models, 22 GiB for the breast cancer data."""
    from miceforest import ImputationKernel

    kernel = ImputationKernel(frame, num_datasets=1, random_state=seed)
    kernel.mice(_ITERATIONS, num_threads=1)
    return kernel.complete_data(0).to_numpy(float)


METHODS = {
    "mean": mean,
    "knn": knn,
    "ridge": ridge,
    "trees": trees,
    "mice": mice,
    "miceforest": miceforest,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    answer(METHODS[sys.argv[1]], tuple(sys.argv[2:]))
