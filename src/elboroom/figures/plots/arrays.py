"""The arguments of figures as NumPy arrays: tensors of any device are taken, too."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elboroom.errors import UsageError

Array: TypeAlias = NDArray[Any]


class Tensor(Protocol):
    """A `torch.Tensor`; the figures do not import PyTorch."""

    def numpy(self, *, force: bool = ...) -> Any:
        """Return an array; with `force` from any device, and of a tensor that has a gradient."""
        ...


Values: TypeAlias = Array | Tensor
"""A NumPy array, or a tensor on any device, with or without a gradient."""


def as_array(name: str, values: Any, kinds: str = "biuf") -> Array:
    """Convert the argument `name` to an array; an array is returned as it is.

    Args:
        name: name of the argument in the error.
        values: an array, a tensor, or nested lists of numbers.
        kinds: the letters of NumPy's kinds of types that are accepted; by default numbers.

    Raises:
        UsageError: if it is no array of such values.
    """
    try:
        array = np.asarray(_without_torch(values))
    except (TypeError, ValueError) as error:
        raise _not_an_array(name, type(values).__name__, str(error)) from error
    if array.dtype.kind not in kinds:
        why = f"its values have type {array.dtype}"
        raise _not_an_array(name, type(values).__name__, why)
    return array


def as_arrays(name: str, table: Mapping[str, Any]) -> dict[str, Array]:
    """Convert the arrays of a table by the names of its columns.

    Raises:
        UsageError: if one of them is no array of numbers.
    """
    return {column: as_array(f'{name}["{column}"]', values) for column, values in table.items()}


def _without_torch(values: Any) -> Any:
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    if torch is None or not isinstance(values, torch.Tensor):
        return values
    # NumPy has no bfloat16.
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy(force=True)


def _not_an_array(name: str, found: str, why: str) -> UsageError:
    return UsageError(
        f"{name}: expected an array or a tensor of numbers, found {found}",
        why=why,
        fix=f"pass {name} as a NumPy array or a torch tensor of the documented shape",
    )
