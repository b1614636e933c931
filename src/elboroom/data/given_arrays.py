"""Arrays and tensors in memory, in the forms that an `.npz` has."""

from collections.abc import Mapping
from os import PathLike

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

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
    if isinstance(values, str | PathLike | Mapping):
        raise TypeError(f"found a {type(values).__name__}; expected an array")
    if not isinstance(values, Tensor):
        found = np.asanyarray(values)
        return np.asarray(found) if isinstance(found, np.matrix) else found
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _not_an_array(name: str, values: object, why: str) -> DataError:
    is_path = isinstance(values, str | PathLike)
    return DataError(
        f"{name} is not an array",
        why=why,
        fix="read a file by load_data(DataConfig(source=…))"
        if is_path
        else "give one array of numbers with equal rows, such as numpy.stack(list_of_rows)",
    )


def _without_masked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Replace arrays of `numpy.ma` by their values, and masks that are True where these count."""
    plain = dict(arrays)
    for key, values in arrays.items():
        if isinstance(values, np.ma.MaskedArray):
            plain[key] = values.data
            mask = key.replace("x_", "mask_")
            plain[mask] = ~np.ma.getmaskarray(values) & arrays.get(mask, np.True_)
    return plain
