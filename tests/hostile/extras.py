"""Hostile files of formats whose libraries are extras; none without these libraries."""

import io
import struct
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from elboroom.config import DataConfig
from elboroom.data.formats.registry import read_data
from elboroom.data.formats.thrift import ThriftReader
from tests.hostile.case import Case, writing

held = partial(read_data, config=DataConfig(binarisation="none"))

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
    options = {"chunks": (64, 8_192), "compression": "gzip"}
    array = file.create_dataset("x", (4_096, 8_192), "u1", **options)
    for start in range(0, len(array), 64):  # large arrays would leave memory free in the process
        array[start : start + 64] = np.zeros((64, 8_192), np.uint8)


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


# Parquet and Arrow


def parquet(table: Any, **options: Any) -> bytes:
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, **options)
    return buffer.getvalue()


def feather(table: Any) -> bytes:
    import pyarrow.feather

    buffer = io.BytesIO()
    pyarrow.feather.write_feather(table, buffer, compression="zstd")
    return buffer.getvalue()


def thrift(number: int) -> bytes:
    """Write an integer as the compact protocol of Thrift does."""
    coded, found = (number << 1) ^ (number >> 63), b""
    while coded > 0x7F:
        found, coded = found + bytes([coded & 0x7F | 0x80]), coded >> 7
    return found + bytes([coded])


def repeating(pa: Any, value: str | bytes, rows: int) -> Any:
    """Return a column whose rows are all one value, which it has once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


def with_page(whole: bytes, unpacked: int, packed: int) -> bytes:
    """Let the first page claim to have other sizes; a longer header takes the place of values."""
    reader, start = ThriftReader(whole, 4), b"\x15\x00\x15"  # a page of data, and two sizes
    reader.struct({})
    sizes = thrift(1_607) + b"\x15" + thrift(1_607)
    rest = whole[4 : reader.place].removeprefix(start + sizes)
    header = start + thrift(unpacked) + b"\x15" + thrift(packed) + rest
    return whole[:4] + header + whole[4 + len(header) :]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def _tables() -> list[tuple[str, bytes, str]]:
    import pyarrow as pa

    grey = pa.table({name: pa.array(range(400), pa.int32()) for name in "ab"})
    plain = {"use_dictionary": False, "compression": "none", "write_statistics": False}
    whole = parquet(grey, **plain)
    zeros = pa.repeat(pa.scalar(0, pa.uint8()), 20 << 20)
    long = repeating(pa, "a" * 3_000_000, 2_000)
    picture = repeating(pa, b"\x89PNG\r\n\x1a\n" + bytes(1 << 20), 2_000)
    nulls = pa.ListArray.from_arrays([0, len(zeros)], pa.nulls(len(zeros), pa.int8()))
    plainly = {"store_schema": False}  # what is written as a dictionary is read as a column
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    elsewhere = pa.array([{"bytes": None, "path": "/etc/passwd"}] * 2, kind)
    moves = pa.table({"\x1b[2J": ["a", "b"], "x": [1, 2]})
    packed = feather(pa.table({"x": np.zeros(2_000, np.int16)}))
    size = struct.pack("<q", 4_000)
    return [
        ("whole", whole, ""),
        ("packed", parquet(grey), ""),
        ("pictures", parquet(pa.table({"image": [png()] * 2})), ""),
        ("feather", feather(grey), ""),
        ("a page of 2 GB", with_page(whole, 2**31 - 1, 1_604), "do not compress so well"),
        ("a page of a negative size", with_page(whole, 1_607, -9), "a negative size"),
        ("a bomb", parquet(pa.table({"x": zeros})), "do not compress so well"),
        (
            "a bomb of a dictionary",
            parquet(pa.table({"x": [1, 2] * 1_000, "label": long}), **plainly),
            "is 3,000,000 characters",
        ),
        (
            "many pictures from one",
            parquet(pa.table({"image": picture}), **plainly),
            "cannot read the picture",
        ),
        ("many missing numbers", parquet(pa.table({"x": nulls})), "do not compress so well"),
        ("a bomb of feather", feather(pa.table({"x": zeros})), "do not compress so well"),
        ("feather of 4 EB", patched(packed, size, struct.pack("<q", 2**62)), "do not compress so"),
        (
            "feather of a negative size",
            patched(packed, size, struct.pack("<q", -7)),
            "negative size",
        ),
        ("a path of another file", parquet(pa.table({"image": elsewhere})), "no bytes of it"),
        ("a column that moves the cursor", parquet(moves), r"\x1b[2J"),
        ("half its bytes", whole[: len(whole) // 2], "footer is cut short"),
        ("a footer of 4 GB", whole[:-8] + b"\xff" * 4 + b"PAR1", "footer is cut short"),
        ("no more than its signature", b"PAR1", "cannot read"),
        ("half of feather", packed[: len(packed) // 2], "cannot read"),
        ("a stream of nothing", b"\xff" * 4 + bytes(4), "cannot read"),
        (
            "a note that is nested deeply",
            parquet(grey.replace_schema_metadata({"huggingface": "[" * 9_999})),
            "nested too deeply",
        ),
    ]


FORMATS: dict[str, tuple[str, Callable[[], list[tuple[str, bytes, str]]]]] = {
    "hdf5": ("h5py", _hdf5),
    "table": ("pyarrow", _tables),
}
CASES = [
    Case(f"{form} {name}", writing("x", content), held, told)
    for form, (library, cases) in FORMATS.items()
    if find_spec(library) is not None
    for name, content, told in cases()
]
