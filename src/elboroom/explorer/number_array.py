"""Arrays of numbers in JSON: exact, small, and quick to decode in a browser or in Python."""

from typing import Literal

import msgspec
import numpy as np
from torch import Tensor

DType = Literal["float32", "int32", "uint8"]
_KINDS: dict[str, DType] = {"f": "float32", "i": "int32", "u": "uint8", "b": "uint8"}


class NumberArray(msgspec.Struct, frozen=True):
    """An array of numbers.

    In Python: np.frombuffer(base64.b64decode(data), dtype).reshape(shape).

    Attributes:
        dtype: the type of the values, little-endian.
        shape: the size of each axis.
        data: the values in C order, base64.
    """

    dtype: DType
    shape: list[int]
    data: bytes

    @classmethod
    def of(cls, values: Tensor | np.ndarray) -> "NumberArray":
        """Take floats as float32, signed integers as int32, bytes and booleans as uint8."""
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        dtype = _KINDS[array.dtype.kind]
        packed = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<"))
        return cls(dtype, list(array.shape), packed.tobytes())
