"""Hostile archives of pictures."""

import gzip
import struct
import tarfile
import zlib
from dataclasses import replace
from functools import partial

from elboroom.config import DataConfig
from elboroom.data.formats.registry import read_data
from tests.hostile.arrays import Member, deflated, zipped
from tests.hostile.case import Case, writing
from tests.hostile.folders import DENSE
from tests.hostile.pictures import (
    BOMB,
    DATA,
    END,
    LARGE,
    NO_PICTURE,
    WHOLE,
    chunk,
    start,
)

held = partial(read_data, config=DataConfig(binarisation="none"))
small = partial(read_data, config=DataConfig(binarisation="none", memory=1e-4))
PNG = Member(b"a/x.png", WHOLE)
PACKED = Member(b"a/y.png", deflated(WHOLE), method=8, size=len(WHOLE), crc=zlib.crc32(WHOLE))
LINK = 0o120777 << 16
OUT, TWICE, LEADS, LAYOUT = (
    "leads out of it",
    "stands there twice",
    "is a link",
    "is not an archive",
)


def linked(content: bytes) -> bytes:
    """Mark all entries of the directory of a zip as symbolic links."""
    at, marked = content.find(b"PK\1\2"), bytearray(content)
    while at >= 0:
        struct.pack_into("<I", marked, at + 38, LINK)
        at = content.find(b"PK\1\2", at + 4)
    return bytes(marked)


def named(name: bytes) -> bytes:
    return zipped(PNG, replace(PNG, name=name))


ZIPS: list[tuple[str, bytes, str]] = [
    ("whole", zipped(PNG, PACKED), ""),
    ("a name that leads up", named(b"a/../../x.png"), OUT),
    ("a name from the root", named(b"/etc/x.png"), OUT),
    ("a name of Windows that leads up", named(b"a\\..\\..\\x.png"), OUT),
    ("a name with an empty part", named(b"a//x.png"), OUT),
    ("a name that is twice", zipped(PNG, PNG), TWICE),
    ("a name that is twice on Windows", zipped(PNG, replace(PNG, name=b"a\\x.png")), TWICE),
    ("a name that ends at a zero", named(b"a/x.png\0.txt"), TWICE),
    ("a name with a line break", named(b"a/x\n  why: it is right.png"), "has a line break"),
    ("folders within each other", named(b"a/" * 300 + b"x.png"), "more than 16 deep"),
    ("links", linked(zipped(PNG)), LEADS),
    ("an encrypted picture", zipped(PNG, replace(PACKED, flags=1)), "is encrypted"),
    ("an unknown method", zipped(PNG, replace(PACKED, method=14)), "by a method"),
    ("a wrong checksum", zipped(PNG, replace(PACKED, crc=7)), "Bad CRC-32"),
    ("a picture that is longer than it says", zipped(PNG, replace(PACKED, size=40)), "Bad CRC-32"),
    ("a picture that is shorter than it says", zipped(PNG, replace(PACKED, size=999)), ""),
    ("a picture of 2 GiB", zipped(PNG, replace(PACKED, size=2**31)), "is 2,147,483,648 bytes long"),
    (
        "a bomb",
        zipped(PNG, Member(b"y.png", deflated(bytes(200 << 20)), method=8, size=200 << 20)),
        DENSE,
    ),
    (
        "a bomb in a picture",
        zipped(Member(b"x.png", start(9_000, 9_000) + chunk(b"IDAT", BOMB))),
        DENSE,
    ),
    ("10^10 pixels", zipped(Member(b"x.png", start(10**5, 10**5) + DATA + END)), LARGE),
    ("a directory of 2 GiB", zipped(PNG, claimed=2**31 - 1), LAYOUT),
    (
        "a name that another has in its place",
        zipped(PNG, replace(PNG, name=b"a/z.png", local=b"q")),
        "differ",
    ),
    (
        "pictures that share their bytes",
        zipped(PNG, replace(PNG, name=b"a/z.png", start=0)),
        "cannot read",
    ),
    ("cut short", zipped(PNG, PACKED)[:-30], LAYOUT),
    ("10,000 names", zipped(PNG, *(Member(b"%d" % n, b"") for n in range(10_000))), ""),
    ("an archive in it", zipped(Member(b"x.zip", zipped(PNG))), "1 .zip"),
    ("no pictures", zipped(Member(b"x.txt", b"")), "found 1 .txt; expected pictures"),
    ("a text named as a picture", zipped(Member(b"x.png", b"<svg/>")), NO_PICTURE),
]


def tarred(*infos: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    """Write a tar of headers and contents, which need not agree."""
    content = b""
    for info, held in infos:
        content += info.tobuf(kind, "utf-8", "surrogateescape")
        content += held + bytes(-len(held) % 512)
    return content + bytes(1024)


def file(
    name: str = "a/x.png", content: bytes = WHOLE, **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def special(kind: bytes, target: str = "/etc/passwd") -> tuple[tarfile.TarInfo, bytes]:
    return file("a/y.png", b"", type=kind, linkname=target)


def sparse() -> bytes:
    """Write a sparse file of 2^40 bytes, as GNU tar does."""
    info, _ = file("a/y.png", b"")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT)[:512])
    header[386:410] = b"00000000000\0" + b"00000000000\0"
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


FIFO, DEVICE = special(tarfile.FIFOTYPE), special(tarfile.CHRTYPE)
LONG = file("././@LongLink", b"", type=tarfile.GNUTYPE_LONGNAME, size=2**33)
TARS: list[tuple[str, bytes, str]] = [
    ("whole", tarred(file(), file("a/y.png")), ""),
    ("with a point before each name", tarred(file("./x.png"), file("./y.png")), ""),
    ("a name that leads up", tarred(file(), file("../x.png")), OUT),
    ("a name from the root", tarred(file(), file("/etc/x.png")), OUT),
    ("a name that is twice", tarred(file(), file()), TWICE),
    ("a symbolic link", tarred(file(), special(tarfile.SYMTYPE)), LEADS),
    ("a hard link", tarred(file(), special(tarfile.LNKTYPE, "a/x.png")), LEADS),
    ("a pipe", tarred(file(), FIFO), "is no plain file"),
    ("a device", tarred(file(), DEVICE), "is no plain file"),
    ("a sparse file", tarred(file())[:-1024] + sparse() + bytes(1024), "is no plain file"),
    ("a picture of 8 GiB", tarred(file(), file("y.png", size=2**33 - 1)), LAYOUT),
    ("a picture that is cut short", tarred(file(), file("y.png", size=9_999)), LAYOUT),
    ("a name of 8 GiB", tarred(file(), LONG), LAYOUT),
    ("a wrong checksum", tarred(file())[:150] + b"9" + tarred(file())[151:], LAYOUT),
    ("cut short", tarred(file())[:700], LAYOUT),
    ("10^10 pixels", tarred(file(content=start(10**5, 10**5) + DATA + END)), LARGE),
    ("packed", packed(tarred(file(), file("a/y.png"))), ""),
    ("packed, of 64 MiB of nothing", packed(tarred(file()) + bytes(64 << 20)), DENSE),
    ("packed and cut short", packed(tarred(file()))[:-20], LAYOUT),
    ("packed with a wrong checksum", packed(tarred(file()))[:-8] + bytes(8), LAYOUT),
    ("no pictures", tarred(file("x.txt", b"")), "found 1 .txt; expected pictures"),
    ("nothing", tarred(file("a", b"", type=tarfile.DIRTYPE)), "no files"),
]
NOISE = bytes(range(256)) * 400

CASES = [
    *(Case(f"zip {n}", writing("x.zip", content), held, told) for n, content, told in ZIPS),
    *(Case(f"tar {name}", writing("x.tar", content), held, told) for name, content, told in TARS),
    Case(
        "tar packed, of more than --memory",
        writing("x.tgz", packed(tarred(file(), file("y.txt", NOISE)))),
        small,
        "does not fit into --memory",
    ),
]
