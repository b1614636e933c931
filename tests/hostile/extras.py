"""Hostile files of formats whose libraries are extras; none without these libraries."""

import io
import struct
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.registry import read_data
from tests.hostile.case import Case, writing

held = partial(read_data, config=DataConfig(binarisation="none"))
mapped = partial(read_data, config=DataConfig(binarisation="none", memory=0))

# HDF5


def hdf5(fill: Callable[[Any], object], **options: Any) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        fill(file)
    return buffer.getvalue()


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    """Exchange bytes that stand in a file once."""
    assert content.count(old) == 1
    return content.replace(old, new)


def of(shape: tuple[int, ...], **options: Any) -> Callable[[Any], object]:
    """Return what makes an array without writing its values."""

    def fill(file: Any) -> None:
        file.create_dataset("x", shape, "u1", **options)

    return fill


def linked(file: Any) -> None:
    """Link groups to each other in a circle, eight by eight."""
    groups = [file.create_group(f"g{n}") for n in range(8)]
    for group in groups:
        for number, other in enumerate(groups):
            group[f"l{number}"] = other


def repeated() -> bytes:
    """Let 60,000 rows be the same long string."""
    import h5py

    buffer, rows = io.BytesIO(), 60_000
    with h5py.File(buffer, "w") as file:
        file["x"] = np.zeros((rows, 1), np.uint8)
        texts = file.create_dataset("y", (rows,), h5py.string_dtype())
        texts[0] = "a" * 3_000_000
        start = texts.id.get_offset()
    content = bytearray(buffer.getvalue())
    content[start : start + 16 * rows] = content[start : start + 16] * rows
    return bytes(content)


def deeply(file: Any) -> None:
    file.create_group("/".join("g" * 40))["x"] = np.zeros((2, 2))


def many(file: Any) -> None:
    for number in range(1_002):
        file.create_group(f"g{number}")


def packed_zeros(file: Any) -> None:
    file.create_dataset("x", data=np.zeros((4_096, 8_192), np.uint8), compression="gzip")


def _hdf5() -> list[tuple[str, bytes, str]]:
    import h5py

    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    whole = hdf5(lambda file: file.create_dataset("x", data=grey))
    sizes, overflow = struct.pack("<2Q", 4, 6), struct.pack("<2Q", 2**33, 2**33)
    return [
        ("whole", whole, ""),
        ("packed", hdf5(lambda f: f.create_dataset("x", data=grey, compression="gzip")), ""),
        ("sizes that overflow", patched(whole, sizes * 2, overflow * 2), "invalid dataset"),
        ("terabytes of nothing", hdf5(of((2**20, 2**20))), "does not fit into --memory"),
        ("a gigabyte of nothing", hdf5(of((2**10, 2**20))), "do not compress so well"),
        ("a chunk of 4 GB", hdf5(of((1, 1), chunks=(1, 2**31), maxshape=(9, 2**31))), "not fit"),
        ("a bomb", hdf5(packed_zeros), "do not compress so well"),
        ("groups in a circle", hdf5(linked), "levels of groups"),
        ("groups in groups", hdf5(deeply), "levels of groups"),
        ("1,002 groups", hdf5(many), "has over 1,000 names"),
        ("a link elsewhere", hdf5(lambda f: f.update(x=h5py.ExternalLink("/etc", "x"))), "a link"),
        (
            "values of another file",
            hdf5(lambda f: f.create_dataset("x", (2, 2), "u1", external=[("/etc/passwd", 0, 4)])),
            "in other files",
        ),
        ("one string for all rows", repeated(), "longer than"),
        ("half its bytes", whole[: len(whole) // 2], "cannot read"),
        ("no more than its signature", whole[:8], "cannot read"),
        (
            "a name that moves the cursor",
            hdf5(lambda f: f.update({"\x1b[2J": h5py.SoftLink("/")})),
            r"\x1b[2J is",
        ),
    ]


CASES = [
    Case(f"hdf5 {name}", writing("x.h5", content), held, told)
    for name, content, told in (_hdf5() if find_spec("h5py") else [])
]
