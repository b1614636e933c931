"""Arrays and tensors in memory, in the forms that an `.npz` has."""

from collections.abc import Mapping
from os import PathLike

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from elboroom.errors import DataError

_NO_ARRAYS = (str, PathLike, Mapping, Dataset)
"""Types of which numpy makes an array, or none, with other axes than those of rows."""


def as_arrays(given: Mapping[str, ArrayLike | Tensor | None]) -> dict[str, np.ndarray]:
    """Return arrays of numpy; a mask hides what an array of `numpy.ma` masks.

    Args:
        given: arrays by the names that they have in an `.npz`, or None.
    """
    found = {name: _to_numpy(name, values) for name, values in given.items() if values is not None}
    return _without_masked(found)


def _to_numpy(name: str, values: ArrayLike | Tensor) -> np.ndarray:
    try:
        return _converted(values)
    except (ValueError, TypeError, NotImplementedError) as error:  # ragged lists, sparse tensors
        raise _not_an_array(name, values, str(error)) from error


def _converted(values: ArrayLike | Tensor) -> np.ndarray:
    if isinstance(values, _NO_ARRAYS) or _is_pair(values):
        raise _no_array(values)
    if not isinstance(values, Tensor):
        found = np.asanyarray(values)
        if found.dtype == object and not found.ndim:  # numpy wraps what it does not know
            raise _no_array(values)
        return np.asarray(found) if isinstance(found, np.matrix) else found
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _is_pair(values: object) -> bool:
    """Return True for several arrays, such as (x, y), of which numpy would make one if it could."""
    return isinstance(values, tuple) and any(isinstance(v, np.ndarray | Tensor) for v in values)


def _no_array(values: object) -> TypeError:
    return TypeError(f"found a {type(values).__name__}; expected an array")


def _not_an_array(name: str, values: object, why: str) -> DataError:
    fix = "give one array of numbers with equal rows, such as numpy.stack(list_of_rows)"
    if isinstance(values, str | PathLike):
        fix = "read a file by load_data(DataConfig(source=…))"
    elif isinstance(values, tuple):
        fix = "give its arrays one by one: Dataset.from_arrays(x_train, x_test, y_train, y_test)"
    elif isinstance(values, Dataset | DataLoader):
        rows = "loader.dataset" if isinstance(values, DataLoader) else "dataset"
        fix = f"give its rows: Dataset.from_rows({rows})"
    elif "sparse" in type(values).__module__:
        fix = "give it dense: x.toarray()"
    return DataError(f"{name} is not an array", why=why, fix=fix)


def _without_masked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Replace arrays of `numpy.ma` by their values, and masks that are True where these count."""
    plain = dict(arrays)
    for key, values in arrays.items():
        if isinstance(values, np.ma.MaskedArray):
            plain[key] = values.data
            mask = key.replace("x_", "mask_")
            plain[mask] = ~np.ma.getmaskarray(values) & arrays.get(mask, np.True_)
    return plain
