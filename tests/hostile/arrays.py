"""Hostile `.npy`, `.npz` and IDX."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.idx import read_idx
from elboroom.data.formats.registry import read_array
from elboroom.data.masks import load_mask
from tests.hostile.case import Case, writing

held = partial(read_array, config=DataConfig(binarisation="threshold"))
mapped = partial(read_array, config=DataConfig(binarisation="threshold", memory=0))


def mask(path: Path) -> Any:
    return load_mask(str(path), (1, 4, 4))


def npy(header: str, values: bytes = b"", version: int = 1, length: int | None = None) -> bytes:
    """Write a file with any header, or with one that claims another length."""
    size = len(header) if length is None else length
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", size)
        + (header.encode("latin-1") + values)
    )


def header(shape: str, descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def of(shape: str, descr: str = "'<f8'", values: bytes = b"") -> bytes:
    return npy(header(shape, descr), values)


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


def saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


OBJECTS = of("(1, 1)", "'|O'", pickle.dumps(np.array([[Bomb()]], object)))
NO_SIZE, NESTED = "; expected natural numbers", "nested too deeply"
DEEP = "(" * 4_000 + ")" * 4_000
PROMISES, NO_ARRAY, NO_TYPE = "header promises", "not that of an array", "; expected numbers"
NPY: list[tuple[str, bytes, str]] = [
    ("promises terabytes", of("(1000000, 1000000)"), "promises 8,000,000,000,000 bytes"),
    ("promises a byte more", of("(3, 4)", "'|u1'", bytes(11)), "promises 12 bytes of uint8"),
    ("holds a byte more", of("(3, 4)", "'|u1'", bytes(13)), "found 13"),
    ("its size overflows to 0", of("(4294967296, 4294967296)", "'|u1'"), PROMISES),
    ("its size overflows", of("(9223372036854775807, 3)"), PROMISES),
    ("its bytes overflow to 0", of("(2305843009213693952, 1)"), PROMISES),
    ("objects", OBJECTS, "would run their code"),
    ("objects of a size", of("(1, 1)", "'|O8'", bytes(8)), "would run their code"),
    ("a structure", of("(2, 2)", "[('a', '<f4'), ('b', '<f4')]", bytes(32)), NO_TYPE),
    ("a structure by commas", of("(2, 2)", "'f4,f4'", bytes(32)), NO_TYPE),
    ("arrays within", of("(1, 1)", "('<f4', (1000000000,))"), NO_ARRAY),
    ("arrays within, as a word", of("(1, 1)", "'(1000000000)f4'"), NO_ARRAY),
    ("void of a gigabyte", of("(1, 1)", "'|V1000000000'"), NO_TYPE),
    ("strings without length", of("(1000000000000000000, 1)", "'|S0'"), NO_TYPE),
    ("strings of gigabytes", of("(1, 1)", "'<U4294967295'"), NO_ARRAY),
    ("dates", of("(1, 1)", "'<M8[s]'", bytes(8)), NO_TYPE),
    ("floats that depend on the machine", of("(1, 1)", "'<f16'", bytes(16)), NO_TYPE),
    ("an unknown type", of("(1, 1)", "'<z9'", bytes(9)), NO_ARRAY),
    ("complex numbers", of("(1, 1)", "'<c16'", bytes(16)), "found type complex128"),
    ("words", of("(1, 1)", "'<U2'", bytes(8)), "found type <U2"),
    ("a negative size", of("(-1, 4)", "'|u1'", bytes(4)), NO_SIZE),
    ("two negative sizes", of("(-2, -2)", "'|u1'", bytes(4)), NO_SIZE),
    ("a size that is a bool", of("(True, 4)", "'|u1'", bytes(4)), NO_SIZE),
    ("a size with an exponent", of("(1e9, 4)", "'|u1'", bytes(4)), NO_ARRAY),
    ("33 axes", of(f"({'1, ' * 33})", "'|u1'", b"\0"), "not an array of images"),
    ("3,000 axes", of(f"({'1, ' * 3_000})", "'|u1'", b"\0"), "maximum supported dimension"),
    ("a size of 5,000 digits", of(f"({'9' * 5_000},)"), NO_ARRAY),
    ("a shape that is a list", of("[3, 4]", "'|u1'", bytes(12)), NO_ARRAY),
    ("a shape that is a number", of("12", "'|u1'", bytes(12)), NO_ARRAY),
    ("a shape without commas", of("(3 4)", "'|u1'", bytes(12)), "cannot read"),
    ("no axis", of("()", "'|u1'", b"\0"), "not an array of images"),
    ("one axis", of("(4,)", "'|u1'", bytes(4)), "not an array of images"),
    ("no images", of("(0, 4)"), "not an array of images"),
    ("no images of any size", of("(0, 1000000000000000000, 9)"), "cannot"),
    ("parentheses, deeply nested", of(DEEP), NO_ARRAY),
    ("signs, deeply nested", of("-" * 9_000 + "1"), NESTED),
    ("a header that is code", npy("__import__('os').mkdir('executed')"), NO_ARRAY),
    ("code as a shape", of("__import__('os').mkdir('executed')"), NO_ARRAY),
    ("spaces alone", npy(" " * 9_900), NO_ARRAY),
    ("spaces everywhere", npy("{" + " " * 3_000 + "'descr'" + " " * 6_000), NO_ARRAY),
    ("a header of 65 kB", npy(header("(1, 1)") + " " * 65_000), "bytes long; at most 10,000"),
    ("a header longer than it is", npy("{", length=65_535), "65,535 bytes long"),
    ("a header of 4 GiB", npy("{", version=2, length=2**32 - 1), "4,294,967,295 bytes long"),
    ("a header of version 9", npy(header("(1, 1)"), bytes(8), 9), "format version"),
    ("a header cut short", npy(header("(1, 1)")[:20], length=60), NO_ARRAY),
    ("no header", b"\x93NUMPY\x01\0", NO_ARRAY),
    ("a version cut short", b"\x93NUMPY\x01", "cannot read"),
    ("a name twice", npy("{'descr': '|u1', 'descr': '|u1', 'shape': (1, 1)}", b"\0"), NO_ARRAY),
    ("no order", npy("{'descr': '|u1', 'shape': (1, 1)}", b"\0"), NO_ARRAY),
    ("an unknown order", npy(header("(1, 1)", order="None"), bytes(8)), NO_ARRAY),
    ("a name more", npy(header("(1, 1)")[:-2] + "'x': 1}", bytes(8)), NO_ARRAY),
    ("no magic", b"\x93NUMPX\x01\0" + bytes(80), "does not begin as .npy"),
    ("half a magic", b"\x93NUM", "does not begin as .npy"),
    ("nothing", b"", "the file is empty"),
    ("a pickle", pickle.dumps(Bomb()), "does not begin as .npy"),
    ("text", b"0 1 2\n", "does not begin as .npy"),
    ("gzip", gzip.compress(bytes(99)), "does not begin as .npy"),
    ("infinity", saved(np.array([[0.5, np.inf]])), "cannot be used"),
    ("nothing but NaN", saved(np.full((2, 2), np.nan)), "found only NaN"),
    ("bytes that are no bools", of("(1, 4)", "'|b1'", b"\0\1\2\xff"), ""),
    (
        "a NaN that signals",
        of("(1, 2)", "'<f8'", bytes(8) + b"\1\0\0\0\0\0\xf0\x7f"),
        "found only NaN",
    ),
]
MAPPED = ("terabytes", "byte more", "overflow", "objects", "void", "structure", "negative", "axes")


@dataclass(frozen=True)
class Member:
    """A member of a zip, and its entry in the directory."""

    name: bytes = b"images.npy"
    content: bytes = saved(np.zeros((2, 3)))
    method: int = 0
    size: int | None = None
    flags: int = 0
    needs: int = 20
    crc: int | None = None
    local: bytes | None = None
    start: int | None = None


def zipped(*members: Member, claimed: int | None = None, comment: bytes = b"") -> bytes:
    """Write a zip; its directory can claim any number of bytes."""
    data, directory = bytearray(), bytearray()
    for m in members:
        start = len(data) if m.start is None else m.start
        local = m.name if m.local is None else m.local
        size, packed = (len(m.content) if m.size is None else m.size), len(m.content)
        crc = zlib.crc32(m.content) if m.crc is None else m.crc
        fields = (m.flags, m.method, 0, 0x21, crc, packed, size)
        data += struct.pack("<4s5H3I2H", b"PK\3\4", m.needs, *fields, len(local), 0)
        data += local + m.content
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, m.needs, *fields, len(m.name), 0, 0, 0, 0, 0, start
        )
        directory += m.name
    size, count = len(directory) if claimed is None else claimed, min(len(members), 65_535)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, len(data), len(comment))
    return bytes(data + directory) + end + comment


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


ONE = Member()
PACKED = deflated(ONE.content)
ZEROS = deflated(bytes(1 << 20))  # 1 KiB
EVIL = replace(ONE, name=b"../../images.npy"), replace(ONE, name=b"/etc/images.npy")
ENCRYPTED, PATCHED, STRONG, UTF8 = 0x1, 0x20, 0x40, 0x800
BIG = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 2**62, 0)
BIG += struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
NPZ: list[tuple[str, bytes, str]] = [
    ("gigabytes", zipped(replace(ONE, method=8, size=2**32 - 2)), "does not fit into --memory"),
    (
        "a bomb",
        zipped(replace(ONE, content=ZEROS, method=8, size=900 << 20)),
        "do not compress so well",
    ),
    (
        "a bomb of bombs at one place",
        zipped(*(replace(ONE, name=b"%d.npy" % i, size=5 << 20, start=0) for i in range(99))),
        "do not compress so well",
    ),
    ("bzip2", zipped(replace(ONE, method=12)), "compressed by a method"),
    ("LZMA", zipped(replace(ONE, method=14)), "compressed by a method"),
    ("an unknown compression", zipped(replace(ONE, method=99)), "compressed by a method"),
    ("encryption", zipped(replace(ONE, flags=ENCRYPTED)), "is encrypted"),
    ("strong encryption", zipped(replace(ONE, flags=STRONG)), "strong encryption"),
    ("a patch", zipped(replace(ONE, flags=PATCHED)), "patched data"),
    ("a name twice", zipped(ONE, ONE), "two arrays of the same name"),
    ("1,001 members", zipped(*(replace(ONE, name=b"%d.npy" % i) for i in range(1_001))), "1,001"),
    (
        "30,000 members",
        zipped(*(replace(ONE, name=b"%d.npy" % i, content=b"") for i in range(30_000))),
        "its directory is",
    ),
    ("a directory of 4 GiB", zipped(ONE, claimed=2**32 - 1), "cannot read"),
    ("a directory of 2^62 bytes", zipped(ONE)[:-22] + BIG + zipped(ONE)[-22:], "cannot read"),
    ("a directory of nothing", zipped(ONE, claimed=0), "has no images"),
    ("names that lead elsewhere", zipped(*EVIL), "has no images"),
    ("a name that moves the cursor", zipped(replace(ONE, name=b"\x1b[2J.npy"), *EVIL), r"\x1b[2J"),
    ("a name of 60,000 letters", zipped(replace(ONE, name=b"x" * 60_000)), "which is not an array"),
    ("a name that is no text", zipped(replace(ONE, name=b"\xff.npy", flags=UTF8)), "can't decode"),
    ("a member that is no array", zipped(ONE, replace(ONE, name=b"a.txt")), "a.txt, which is not"),
    ("a folder", zipped(ONE, replace(ONE, name=b"images/", content=b"")), "which is not an array"),
    ("another name at the member", zipped(replace(ONE, local=b"evil12.npy")), "differ"),
    ("a place beyond the file", zipped(replace(ONE, start=2**31)), "cannot read"),
    ("a wrong checksum", zipped(replace(ONE, crc=1)), "Bad CRC-32"),
    (
        "data that cannot be unpacked",
        zipped(replace(ONE, content=b"\xff" * 50, method=8)),
        "Error -3",
    ),
    (
        "less than it says",
        zipped(replace(ONE, content=PACKED, method=8, size=9_999, crc=zlib.crc32(ONE.content))),
        PROMISES,
    ),
    (
        "more than it says",
        zipped(replace(ONE, content=deflated(ONE.content * 9), method=8, size=len(ONE.content))),
        "Bad CRC-32",
    ),
    ("an end that is cut off", zipped(ONE)[:-3], "not a zip file"),
    ("a start that is cut off", zipped(ONE)[9:], "does not begin as .npy"),
    ("no members", zipped(), "has no images"),
    ("a zip of a zip", zipped(replace(ONE, content=zipped(ONE))), "cannot read"),
    ("a version of the future", zipped(replace(ONE, needs=99)), "zip file version 9.9"),
    ("a comment that is an end", zipped(ONE, comment=zipped(ONE)[-22:]), "cannot read"),
    ("a member of terabytes", zipped(replace(ONE, content=of("(1000000, 1000000)"))), PROMISES),
    (
        "a member of objects",
        zipped(ONE, replace(ONE, name=b"y.npy", content=OBJECTS)),
        "would run",
    ),
    ("a member of nothing", zipped(replace(ONE, content=b"")), "cannot read"),
    (
        "a member of 99 axes",
        zipped(replace(ONE, content=of(f"({'1,' * 99})", values=bytes(8)))),
        "99",
    ),
]


def idx(rank: int, *sizes: int, values: bytes = b"", kind: int = 8) -> bytes:
    return gzip.compress(
        bytes([0, 0, kind, rank]) + struct.pack(f">{len(sizes)}I", *sizes) + values
    )


def digits(path: Path) -> np.ndarray:
    """Read a file whose digest is as expected."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.stat().st_size < 10_000 else b""
    except (OSError, EOFError, zlib.error):
        content = b""
    return read_idx(path, hashlib.sha256(content).hexdigest())


IDX: list[tuple[str, bytes, str]] = [
    ("a bomb", gzip.compress(bytes(1 << 20)) * 60, "it contains more than"),
    ("sizes of 2^128", idx(4, *[2**32 - 1] * 4), "promises shape"),
    ("sizes that overflow to 0", idx(4, 65_536, 65_536, 65_536, 65_536), "promises shape"),
    ("an empty size", idx(2, 0, 2**32 - 1), "promises shape"),
    ("no axis", idx(0, values=b"\1"), "promises 0 axes"),
    ("255 axes", idx(255, *[1] * 255, values=b"\1"), "promises 255 axes"),
    ("a header cut short", idx(3, 1, 1), "cut short"),
    ("an unknown type", idx(1, 1, values=bytes(4), kind=10), "not that of an IDX file"),
    ("floats that are cut short", idx(1, 1, values=bytes(3), kind=13), "promises shape"),
    ("nothing in it", gzip.compress(b""), "not that of an IDX file"),
    ("nothing", b"", "not that of an IDX file"),
    ("no gzip", b"plain", "Not a gzipped file"),
    ("torn", idx(1, 99, values=bytes(99))[:-9], "ended before"),
    ("a wrong checksum", idx(1, 1, values=b"\1")[:-8] + bytes(8), "CRC check failed"),
]


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.npy")
    return folder / "pipe.npy"


def _circle(folder: Path) -> Path:
    (folder / "circle.npy").symlink_to("circle.npy")
    return folder / "circle.npy"


PLACES: list[tuple[str, Callable[[Path], Path], str]] = [
    ("a pipe", _pipe, "a pipe or a device"),
    ("a device without end", lambda folder: Path("/dev/zero"), "a pipe or a device"),
    ("a link to itself", _circle, "cannot read"),
    ("a folder", lambda folder: folder, "Is a directory"),
    ("nothing there", lambda folder: folder / "no.npy", "No such file"),
    ("a name with a zero", lambda folder: folder / "a\0b.npy", "cannot read"),
]
CASES = [
    *(Case(f"npy {name}", writing("my.npy", content), held, told) for name, content, told in NPY),
    *(
        Case(f"mapped {name}", writing("my.npy", content), mapped, told)
        for name, content, told in NPY
        if any(word in name for word in MAPPED)
    ),
    *(Case(f"npz {name}", writing("my.npz", content), held, told) for name, content, told in NPZ),
    *(Case(f"idx {name}", writing("a.gz", content), digits, told) for name, content, told in IDX),
    *(Case(f"data {name}", make, held, told) for name, make, told in PLACES),
    Case("mask a pipe", _pipe, mask, "a pipe or a device"),
    Case("mask of terabytes", writing("m.npy", of("(1000000, 1000000)", "'|b1'")), mask, PROMISES),
    Case("mask of objects", writing("m.npy", OBJECTS), mask, "would run their code"),
    Case(
        "mask of numbers", writing("m.npy", of("(4, 4)", "'|u1'", bytes(16))), mask, "is not a mask"
    ),
    Case("mask, nested", writing("m.npy", of(DEEP)), mask, NO_ARRAY),
    Case("mask of no bools", writing("m.npy", of("(4, 4)", "'|b1'", b"\2" * 16)), mask, ""),
]
