"""Hostile IDX files, MAT-files and files of tensors, and files that are of no format."""

import gzip
import io
import os
import pickle
import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch

from elboroom.config import DataConfig
from elboroom.data.formats.registry import read_data
from tests.hostile.arrays import Bomb, Member, zipped
from tests.hostile.case import Case, writing

held = partial(read_data, config=DataConfig(binarisation="none"))

# IDX


def idx(rank: int, *sizes: int, values: bytes = b"", kind: int = 8) -> bytes:
    return bytes([0, 0, kind, rank]) + struct.pack(f">{len(sizes)}I", *sizes) + values


GREY = idx(2, 4, 6, values=bytes(range(0, 240, 10)))
IDX: list[tuple[str, bytes, str]] = [
    ("whole", GREY, ""),
    ("gigabytes", idx(4, *[2**32 - 1] * 4), "does not fit into --memory"),
    ("sizes that overflow to 0", idx(4, *[65_536] * 4), "does not fit into --memory"),
    ("a bomb", gzip.compress(idx(2, 500, 2**20) + bytes(1 << 20)), "do not compress so well"),
    ("a bomb after its end", gzip.compress(GREY + bytes(64 << 20)), "found 25 bytes"),
    ("half its values", GREY[:-12], "found 12 bytes"),
    ("an empty size", idx(2, 0, 6), "promises shape (0, 6)"),
    ("a header cut short", GREY[:7], "cut short"),
    ("torn gzip", gzip.compress(GREY)[:-9], "ended before"),
    ("a wrong checksum", gzip.compress(GREY)[:-8] + bytes(8), "CRC check failed"),
    ("one axis", idx(1, 4, values=b"\0\1\2\3"), "not an array of images"),
    ("infinite floats", idx(2, 1, 1, values=b"\x7f\x80\0\0", kind=13), "infinity"),
]

# MATLAB


def tag(kind: int, content: bytes, size: int | None = None) -> bytes:
    padding = bytes(-len(content) % 8)
    return struct.pack("<II", kind, len(content) if size is None else size) + content + padding


def matrix(
    *axes: int,
    values: bytes = bytes(8),
    name: bytes = b"x",
    kind: int = 6,
    flags: int = 0,
    stored: int = 9,
) -> bytes:
    head = tag(6, struct.pack("<II", kind | flags << 8, 0))
    return head + tag(5, struct.pack(f"<{len(axes)}i", *axes)) + tag(1, name) + tag(stored, values)


def mat(*elements: bytes, header: bytes = b"MATLAB 5.0 MAT-file") -> bytes:
    return header.ljust(124) + b"\0\1IM" + b"".join(elements)


def packed(content: bytes) -> bytes:
    return tag(15, zlib.compress(content))[: 8 + len(zlib.compress(content))]


ONE = tag(14, matrix(1, 1))
DAMAGED = "promises"
MAT: list[tuple[str, bytes, str]] = [
    ("whole", mat(tag(14, matrix(2, 2, values=np.arange(4.0).tobytes()))), ""),
    ("packed", mat(packed(tag(14, matrix(2, 2, values=np.arange(4.0).tobytes())))), ""),
    ("a header cut short", mat()[:100], "cut short"),
    ("no byte order", mat().replace(b"IM", b"XX"), "does not give the byte order"),
    ("nothing", mat(), "has no images"),
    ("4 GiB of an element", mat(tag(14, b"", 2**32 - 1)), DAMAGED),
    ("4 GiB of values", mat(tag(14, matrix(1, 1)[:-16] + tag(9, b"", 2**32 - 8))), DAMAGED),
    ("a small element of 65 kB", mat(tag(14, b"\x09\0\xff\xff" + bytes(12))), DAMAGED),
    ("sizes of 2^62", mat(tag(14, matrix(2**31 - 1, 2**31 - 1))), "promises shape"),
    ("sizes that overflow to 0", mat(tag(14, matrix(*[2**16] * 4))), "promises shape"),
    ("a negative size", mat(tag(14, matrix(-1, -1))), "promises shape"),
    ("one axis", mat(tag(14, matrix(1))), "promises shape"),
    ("no axis", mat(tag(14, matrix())), "promises shape"),
    ("40 axes", mat(tag(14, matrix(*[1] * 40))), "promises shape"),
    ("values of an unknown type", mat(tag(14, matrix(1, 1, stored=99))), "unknown type 99"),
    ("no values", mat(tag(14, matrix(1, 1)[:-16])), "cut short"),
    ("an empty element", mat(tag(14, b"")), "cut short"),
    ("half a value", mat(tag(14, matrix(1, 1, values=bytes(7)))), "multiple of element size"),
    ("an unknown element", mat(tag(77, bytes(8))), "element of type 77"),
    ("a bomb", mat(packed(tag(14, bytes(64 << 20)))), "do not compress so well"),
    ("a bomb that claims little", mat(packed(tag(14, bytes(64 << 20), 8))), "cut short"),
    ("a small file that claims much", mat(packed(tag(14, b"", 2**31))), "do not compress so"),
    ("packed nothing", mat(packed(b"")), "element of type 0"),
    ("what cannot be unpacked", mat(tag(15, b"\xff" * 16)), "Error -3"),
    ("a name twice", mat(ONE, ONE), "two arrays 'x'"),
    (
        "1,002 arrays",
        mat(*(tag(14, matrix(1, 1, name=b"a%d" % n)) for n in range(1_002))),
        "or more than 1,000",
    ),
    ("cells within cells", mat(tag(14, matrix(1, 1, kind=1) * 999)), "is a cell array"),
    ("an object", mat(tag(14, matrix(1, 1, kind=17))), "is an object"),
    ("a complex array", mat(tag(14, matrix(1, 1, flags=8))), "is complex"),
    ("a name that moves the cursor", mat(tag(14, matrix(1, 1, name=b"\x1b[2J", kind=4))), r"\x1b"),
    ("a torn end", mat(ONE)[:-3], DAMAGED),
    ("half a tag", mat(ONE, b"\x0e\0\0"), "cannot read"),
]

# PyTorch

OPEN = b"\x80\x02"


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tensor(
    shape: tuple[int, ...] = (2, 2),
    strides: tuple[int, ...] = (2, 1),
    *,
    offset: int = 0,
    count: int = 4,
    key: bytes = b"0",
) -> bytes:
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX" + struct.pack("<I", len(key)) + key
    storage += b"X\x03\0\0\0cpu" + integer(count) + b"tQ"
    sizes = (b"(" + b"".join(map(integer, axes)) + b"t" for axes in (shape, strides))
    end = b"\x89ccollections\nOrderedDict\n)Rt"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + (storage + integer(offset) + b"".join(sizes) + end)
        + b"R"
    )


def named(*values: bytes) -> bytes:
    """Return the pickle of a dict from x0, x1, … to values."""
    items = (
        b"X" + struct.pack("<I", len(b"x%d" % n)) + b"x%d" % n + v for n, v in enumerate(values)
    )
    return OPEN + b"}(" + b"".join(items) + b"u."


def pt(content: bytes, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", content)
        for name, values in ({"data/0": np.arange(4, dtype="<f4").tobytes()} | members).items():
            archive.writestr(f"a/{name}", values)
    return buffer.getvalue()


def with_object() -> bytes:
    buffer = io.BytesIO()
    torch.save({"x": Bomb()}, buffer)
    return buffer.getvalue()


WHOLE = OPEN + tensor() + b"."
NESTED = OPEN + b"}" + b")" + b"\x85" * 60_000 + b"K\1s."
BEYOND, ONLY = "a tensor reaches value", "only tensors are read"
TERABYTES = tensor((2**20, 2**20), (0, 0))
PT: list[tuple[str, bytes, str]] = [
    ("whole", pt(WHOLE), ""),
    ("whole by name", pt(named(tensor())), ""),
    ("more values than there are", pt(OPEN + tensor(count=10**9) + b"."), "found 4"),
    ("fewer values than there are", pt(OPEN + tensor(count=3) + b"."), "promises 3 values"),
    ("a size beyond its values", pt(OPEN + tensor((3, 2)) + b"."), BEYOND),
    ("a stride beyond its values", pt(OPEN + tensor((2, 2), (2**30, 1)) + b"."), BEYOND),
    ("an offset beyond its values", pt(OPEN + tensor(offset=2**30) + b"."), BEYOND),
    ("a negative offset", pt(OPEN + tensor(offset=-9) + b"."), "negative size"),
    ("a negative stride", pt(OPEN + tensor((2, 2), (-1, 1)) + b"."), "negative size"),
    ("a negative size", pt(OPEN + tensor((-2, -2)) + b"."), "negative size"),
    ("terabytes", pt(OPEN + TERABYTES + b"."), "do not compress so well"),
    (
        "gigabytes in many tensors",
        pt(named(*[tensor((2**12, 2**10), (0, 0))] * 200)),
        "do not compress so well",
    ),
    ("a member that is not there", pt(OPEN + tensor(key=b"7") + b"."), "data/7"),
    ("a member elsewhere", pt(OPEN + tensor(key=b"../data.pkl") + b"."), "cannot read"),
    ("an object whose code would run", with_object(), "posix.mkdir; only tensors"),
    ("a function", pt(OPEN + b"cos\nsystem\n(X\4\0\0\0truetR."), f"os.system; {ONLY}"),
    ("a function on the stack", pt(b"\x80\4X\2\0\0\0osX\6\0\0\0system\x93."), ONLY),
    ("an instance", pt(OPEN + b"(ios\nsystem\n."), ONLY),
    (
        "bytes of a gigabyte",
        pt(OPEN + b"cbuiltins\nbytearray\n" + integer(2**30) + b"\x85R."),
        ONLY,
    ),
    ("a class with arguments", pt(OPEN + b"ccollections\nOrderedDict\nK\1\x85R."), "is damaged"),
    ("a storage that is called", pt(OPEN + b"ctorch\nFloatStorage\nK\1\x85R."), "is damaged"),
    ("a tuple of 60,000 tuples as a name", pt(NESTED), "names are not text"),
    ("a list within itself", pt(OPEN + b"]q\0h\0a."), "holds a list"),
    ("a dict within itself", pt(OPEN + b"}q\0X\1\0\0\0xh\0s."), "x is not a tensor"),
    ("an empty stack", pt(OPEN + b"t."), "cannot read"),
    ("no mark", pt(OPEN + b"K\1t."), "cannot read"),
    ("no end", pt(WHOLE[:-1]), "cannot read"),
    ("an unknown operation", pt(OPEN + b"\xff."), "cannot read"),
    ("nothing in it", pt(b""), "cannot read"),
    ("nothing on the stack", pt(OPEN + b"."), "cannot read"),
    ("a number of 60,000 digits", pt(OPEN + b"L" + b"9" * 60_000 + b"L\n."), "cannot read"),
    ("60,000 values", pt(OPEN + b"N" * 60_000 + b"."), "NoneType"),
    ("a pickle of a MiB", pt(OPEN + b"N" * 2**20 + b"."), "at most 64 KiB"),
    ("two pickles", pt(WHOLE, **{"b/data.pkl": WHOLE}), "one pickle"),
    ("an unknown byte order", pt(WHOLE, byteorder=b"middle"), ""),
    (
        "a bomb",
        zipped(Member(b"a/data.pkl", WHOLE), Member(b"a/data/0", b"\3\0", 8, size=900 << 20)),
        "do not compress so well",
    ),
    ("encryption", zipped(Member(b"a/data.pkl", WHOLE, flags=1)), "is encrypted"),
]

# Others

OTHERS: list[tuple[str, bytes, str]] = [
    ("a pickle", pickle.dumps(Bomb()), "a pickle, whose code would run"),
    ("a line of 100 MB", b"1," * 1_000 + b"1" * (1 << 20), "a CSV table"),
    ("a gzip of nothing", gzip.compress(b""), "packed by gzip"),
    ("a torn gzip", b"\x1f\x8b\x08\0", "packed by gzip"),
    ("text that moves the cursor", b"\x1b[2J,1\n", "of no known format"),
    ("a number of a MiB", b"9" * (1 << 20), "a text of numbers"),
    ("a name that says why", b"a,b\n1,2\n", "a CSV table"),
    ("a zip of xlsx", zipped(Member(b"[Content_Types].xml", b"x")), "an Excel workbook"),
    (
        "a zip of 1,001 pictures",
        zipped(*(Member(b"%d.png" % n) for n in range(1_001))),
        "it is no JPEG",
    ),
]


def in_a_folder(folder: Path) -> Path:
    (folder / "train-images-idx3-ubyte").write_bytes(GREY)
    (folder / "other-idx3-ubyte").symlink_to("/dev/zero")
    return folder


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "train-images-idx3-ubyte")
    return folder


CASES = [
    *(Case(f"user idx {name}", writing("my", content), held, told) for name, content, told in IDX),
    *(Case(f"mat {name}", writing("my.mat", content), held, told) for name, content, told in MAT),
    *(Case(f"pt {name}", writing("my.pt", content), held, told) for name, content, told in PT),
    *(Case(f"other {name}", writing("my", content), held, told) for name, content, told in OTHERS),
    Case("idx folder with a device", in_a_folder, held, "a pipe or a device"),
    Case("idx folder with a pipe", _pipe, held, "a pipe or a device"),
]
