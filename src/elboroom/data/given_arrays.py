"""Arrays and tensors in memory, in the forms that an `.npz` has."""

from collections.abc import Mapping
from os import PathLike

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from elboroom.errors import DataError


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
    except (ValueError, TypeError) as error:  # ragged lists, sparse tensors
        raise _not_an_array(name, values, str(error)) from error


def _converted(values: ArrayLike | Tensor) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if isinstance(values, str | PathLike | Mapping | Dataset | DataLoader):
        raise _no_array(values)
    found = np.asanyarray(values)
    if found.shape == () and found.dtype == object:
        raise _no_array(values)
    return np.asarray(found) if isinstance(found, np.matrix) else found


def _no_array(values: object) -> TypeError:
    return TypeError(f"found a {type(values).__name__}; expected an array")


def _not_an_array(name: str, values: object, why: str) -> DataError:
    return DataError(f"{name} is not an array", why=why, fix=_fix(values))


def _fix(values: object) -> str:
    """Return how to give as one array what stands in its place."""
    if isinstance(values, str | PathLike):
        return "read a file by load_data(DataConfig(source=…))"
    if isinstance(values, TensorDataset):
        return "give one of its tensors, such as dataset.tensors[0]"
    if isinstance(values, Dataset):
        return "stack its rows, such as torch.stack([row for row, label in dataset])"
    if isinstance(values, DataLoader):
        return "join its batches, such as torch.cat([rows for rows, labels in loader])"
    return "give one array of numbers with equal rows, such as numpy.stack(list_of_rows)"


def _without_masked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Replace arrays of `numpy.ma` by their values, and masks that are True where these count."""
    plain = dict(arrays)
    for key, values in arrays.items():
        if isinstance(values, np.ma.MaskedArray):
            plain[key] = values.data
            mask = key.replace("x_", "mask_")
            plain[mask] = ~np.ma.getmaskarray(values) & arrays.get(mask, np.True_)
    return plain
