"""Arrays and tensors in memory, in the forms that an `.npz` has."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def as_arrays(given: Mapping[str, ArrayLike | Tensor | None]) -> dict[str, np.ndarray]:
    """Return arrays of numpy; a mask hides what an array of `numpy.ma` masks.

    Args:
        given: arrays by the names that they have in an `.npz`, or None.
    """
    found = {name: _to_numpy(values) for name, values in given.items() if values is not None}
    return _without_masked(found)


def _to_numpy(values: ArrayLike | Tensor) -> np.ndarray:
    if not isinstance(values, Tensor):
        return np.asanyarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _without_masked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Replace arrays of `numpy.ma` by their values, and masks that are True where these count."""
    plain = dict(arrays)
    for key, values in arrays.items():
        if isinstance(values, np.ma.MaskedArray):
            plain[key] = values.data
            mask = key.replace("x_", "mask_")
            plain[mask] = ~np.ma.getmaskarray(values) & arrays.get(mask, np.True_)
    return plain
