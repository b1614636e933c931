"""The `.npy` format: its header is checked before numpy allocates what it promises."""

import math
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import numpy as np

from elboroom.data.formats.errors import UnreadableArrayError

# numpy evaluates a header as a Python literal, which is only safe up to some length. numpy checks
# the length as well, but reads the header before.
_LONGEST_HEADER = 10_000  # bytes
_KINDS = "buifcSU"  # booleans, numbers and strings
_DEPENDENT = "gG"  # long doubles, whose size depends on the machine


@dataclass(frozen=True)
class NpyHeader:
    """Shape and type of the array in a file, and whether its first axis varies fastest."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool = False


def read_header(file: BinaryIO, size: int) -> NpyHeader:
    """Read the header of an array, and leave `file` at its first value.

    Args:
        file: at the start of the format.
        size: total bytes of the format.

    Raises:
        ValueError: if it is not the header of an array of numbers or of strings, or `size` is not
            what it promises.
    """
    major, _ = np.lib.format.read_magic(file)
    width = 2 if major == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(
            f"its header is {length:,} bytes long; at most {_LONGEST_HEADER:,} are allowed"
        )
    header = _parse(file.read(length))
    promised, left = header.dtype.itemsize * math.prod(header.shape), size - 8 - width - length
    if promised != left:
        raise ValueError(
            f"its header promises {promised:,} bytes of {header.dtype} {header.shape}, "
            f"found {max(0, left):,}"
        )
    return header


def read_array(file: BinaryIO, size: int) -> np.ndarray:
    """Read an array.

    Args:
        file: seekable, at the start of the format.
        size: total bytes of the format.

    Raises:
        ValueError: if `read_header` refuses it, or numpy does.
    """
    dtype = read_header(file, size).dtype
    file.seek(0)
    with warnings.catch_warnings(action="ignore"):  # numpy warns of headers that Python 2 wrote
        array = np.lib.format.read_array(file, allow_pickle=False)
    # A byte that is neither 0 nor 1 is not a valid bool: PyTorch would count it as its value.
    return array.view(np.uint8) != 0 if dtype.kind == "b" else array


def _parse(header: bytes) -> NpyHeader:
    # Version 2 differs from 1 in the width of the length, and from 3 in the names of fields.
    file = BytesIO(len(header).to_bytes(4, "little") + header)
    try:
        with warnings.catch_warnings(action="ignore"):
            shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(file)
    except (MemoryError, RecursionError):  # the parser's stack overflows
        raise ValueError("its header is nested too deeply") from None
    except Exception as error:  # a literal can raise errors of many types
        raise ValueError("its header is not that of an array") from error
    if dtype.hasobject:
        raise UnreadableArrayError(
            "it holds Python objects; reading them would run their code",
            fix="save it as numbers, such as df.to_numpy(dtype='float32', na_value=numpy.nan), or "
            "as strings by .astype(str)",
        )
    if dtype.kind not in _KINDS or dtype.char in _DEPENDENT or dtype.itemsize == 0:
        raise UnreadableArrayError(
            f"its type is {str(dtype)[:80]}; expected numbers", fix=_conversion(dtype)
        )
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"its shape is {shape}; expected natural numbers")
    return NpyHeader(shape, dtype, bool(fortran_order))


def _conversion(dtype: np.dtype) -> str:
    """Return the way to save an array of this type as numbers."""
    if dtype.names:
        return "save numpy.lib.recfunctions.structured_to_unstructured(a) in its place"
    if dtype.kind in "mM":
        return "save times as numbers, such as (t - t[0]) / numpy.timedelta64(1, 's')"
    return "save it by .astype('float32')"
