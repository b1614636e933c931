"""The `.npy` format: its header is checked before numpy allocates what it promises."""

import math
import re
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

# As numpy writes it, and others with other quotes, spaces and order; Python 2 wrote 60000L. numpy
# itself evaluates a literal, whose nesting and warnings are nothing that an array needs.
_ENTRY = r"""\s*+['"](descr|fortran_order|shape)['"]\s*+:\s*+([^\s(,}]++|\([\dL,\s]*+\))\s*+"""
_HEADER = re.compile(rf"\{{{_ENTRY},{_ENTRY},{_ENTRY}(?:,\s*+)?\}}\s*+")
_TYPE = re.compile(r"""['"]([<>|=]?(?:[?]|b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,6}))['"]""")
_OBJECT = re.compile(r"""['"]\|?O\d?['"]""")
_LONGEST = 10_000  # bytes of a header, as numpy has it
_AXES = 32  # as numpy before its version 2 had at most
_DIGITS = 19  # of a size


@dataclass(frozen=True)
class NpyHeader:
    """What a file says that it holds."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_header(file: BinaryIO, size: int) -> NpyHeader:
    """Read the header of an array, and leave `file` at its first value.

    Args:
        file: at the start of the format.
        size: bytes that it has in all.

    Raises:
        ValueError: it is not the header of an array of numbers or of strings, or what it promises
            is not what `size` leaves for it.
    """
    major, _ = np.lib.format.read_magic(file)
    long = 2 if major == 1 else 4
    length = int.from_bytes(file.read(long), "little")
    if length > _LONGEST:
        raise ValueError(f"its header has {length:,} bytes, of {_LONGEST:,} at most")
    header = _parsed(file.read(length).decode("latin-1"))
    promised, left = header.dtype.itemsize * math.prod(header.shape), size - 8 - long - length
    if promised != left:
        raise ValueError(
            f"its header promises {promised:,} bytes of {header.dtype} {header.shape}, "
            f"and it holds {max(0, left):,}"
        )
    return header


def read_array(file: BinaryIO, size: int) -> np.ndarray:
    """Read an array.

    Args:
        file: at the start of the format, which can be sought.
        size: bytes that it has in all.

    Raises:
        ValueError: as of `read_header`.
    """
    dtype = read_header(file, size).dtype
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False)
    # a byte of neither 0 nor 1 is no bool, and PyTorch would count it as it stands
    return array.view(np.uint8) != 0 if dtype.kind == "b" else array


def _parsed(text: str) -> NpyHeader:
    found = _HEADER.fullmatch(text)
    names, values = (found.groups()[i::2] if found else () for i in (0, 1))
    entries = dict(zip(names, values, strict=True))
    shape = entries.get("shape", "")
    if len(entries) < 3 or entries["fortran_order"] not in ("True", "False") or shape[0] != "(":
        raise ValueError("its header is not that of an array of numbers")
    if _OBJECT.fullmatch(entries["descr"]):
        raise ValueError("it holds Python objects, whose code would run as they are read")
    kind = _TYPE.fullmatch(entries["descr"])
    if kind is None:
        raise ValueError(f"its type is {entries['descr'][:80]}, and not one of numbers")
    sizes = re.findall(r"\d+", shape)
    if any(len(size) > _DIGITS for size in sizes):
        raise ValueError("its shape has sizes that no array has")
    if len(sizes) > _AXES:
        raise ValueError(f"its shape has {len(sizes)} axes, of {_AXES} at most")
    return NpyHeader(tuple(map(int, sizes)), np.dtype(kind[1]))
