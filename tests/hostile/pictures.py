"""Hostile PNG."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from elboroom.config import DataConfig
from elboroom.data.formats.picture_event import read_event
from elboroom.data.formats.pictures import Recipe
from elboroom.data.masks import load_mask
from tests.hostile.case import Case, writing

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 4


def picture(path: Path) -> Any:
    return read_event(path, Recipe.of(DataConfig()), (1, SIDE, SIDE))


def chunk(name: bytes, content: bytes = b"", length: int | None = None) -> bytes:
    """Write a chunk, or one that claims another length."""
    size = len(content) if length is None else length
    return struct.pack(">I", size) + name + content + struct.pack(">I", zlib.crc32(name + content))


def start(width: int = SIDE, height: int = SIDE, *rest: int) -> bytes:
    """Write the signature and the header; `rest` are depth, colour type, and three methods."""
    return SIGNATURE + head(width, height, *rest)


def head(width: int, height: int, *rest: int) -> bytes:
    return chunk(
        b"IHDR", struct.pack(">II", width, height) + bytes([*rest, *(8, 0, 0, 0, 0)[len(rest) :]])
    )


ROWS = bytes(SIDE * (1 + SIDE))
DATA, END = chunk(b"IDAT", zlib.compress(ROWS)), chunk(b"IEND")
WHOLE = start() + DATA + END
BOMB = zlib.compress(bytes(64 << 20), 1)


def other(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (SIDE, SIDE)).save(buffer, kind)
    return buffer.getvalue()


def within(*chunks: bytes) -> bytes:
    """Write a whole picture with more chunks before its data."""
    return start() + b"".join(chunks) + DATA + END


NO_PICTURE, TORN = "it is no JPEG, PNG, WebP, TIFF, BMP or GIF", "cannot read the picture"
NO_HEADER, CUT, LARGE = "its header is damaged", "Truncated File Read", "exceeds limit"
TOO_LARGE = "Decompressed data too large"
FRAMES = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))


def frame(width: int, height: int) -> bytes:
    """Write the control of the first frame of an animation."""
    return chunk(b"fcTL", struct.pack(">III", 0, width, height) + bytes(14))


PNG: list[tuple[str, bytes, str]] = [
    ("10^10 pixels", start(100_000, 100_000) + DATA + END, LARGE),
    ("2^62 pixels", start(2**31 - 1, 2**31 - 1) + DATA + END, LARGE),
    ("2^64 pixels", start(2**32 - 1, 2**32 - 1) + DATA + END, LARGE),
    ("no pixels", start(0, 0) + END, NO_HEADER),
    ("another size later", start() + head(100_000, 100_000) + DATA + END, LARGE),
    ("nothing", b"", NO_PICTURE),
    ("text", b"<svg xmlns='http://www.w3.org/2000/svg'/>", NO_PICTURE),
    *((f"{kind} within", other(kind), "") for kind in ("JPEG", "GIF", "BMP", "TIFF", "WEBP")),
    ("PPM within", other("PPM"), NO_PICTURE),
    (
        "an EPS, which Ghostscript would run",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n",
        NO_PICTURE,
    ),
    ("the signature of MNG", b"\x8aMNG" + WHOLE[4:], NO_PICTURE),
    ("no header", SIGNATURE + DATA + END, NO_HEADER),
    ("a header of 12 bytes", SIGNATURE + chunk(b"IHDR", bytes(12)) + DATA + END, "Truncated IHDR"),
    ("no data", start() + END, "it has no pixels"),
    ("no end", start() + DATA, "truncated PNG file"),
    ("data cut short", WHOLE[:-20], CUT),
    ("a header cut short", WHOLE[:20], CUT),
    ("data of 2 GiB", start() + chunk(b"IDAT", b"x", 2**31 - 1) + END, CUT),
    ("text of 4 GiB", start() + chunk(b"tEXt", b"x", 2**32 - 1) + DATA + END, CUT),
    ("data that cannot be unpacked", start() + chunk(b"IDAT", b"garbage") + END, TORN),
    ("too few rows", start() + chunk(b"IDAT", zlib.compress(ROWS[:-5])) + END, ""),
    (
        "a row of an unknown filter",
        start() + chunk(b"IDAT", zlib.compress(b"\x09" + ROWS[1:])) + END,
        TORN,
    ),
    (
        "a wrong checksum of its data",
        start() + DATA[:-1] + b"\0" + END,
        "bad header checksum in b'IDAT'",
    ),
    ("a wrong checksum of its header", start()[:-1] + b"\0" + DATA + END, NO_HEADER),
    ("three bits", start(SIDE, SIDE, 3) + DATA + END, TORN),
    ("colours of type 9", start(SIDE, SIDE, 8, 9) + DATA + END, TORN),
    ("16 bits of a palette", start(SIDE, SIDE, 16, 3) + DATA + END, TORN),
    ("an unknown compression", start(SIDE, SIDE, 8, 0, 1) + DATA + END, ""),
    ("an unknown filter", start(SIDE, SIDE, 8, 0, 0, 1) + DATA + END, TORN),
    ("a palette of 7 bytes", start(SIDE, SIDE, 8, 3) + chunk(b"PLTE", bytes(7)) + DATA + END, ""),
    ("a name that is none", start() + chunk(b"\0\xff\0\xff", b"x") + DATA + END, NO_HEADER),
    ("10,001 chunks", start() + chunk(b"tEXt") * 10_001 + DATA + END, "more than 10,000 chunks"),
    ("300,000 chunks", start() + chunk(b"abCd") * 300_000 + DATA + END, "more than 10,000 chunks"),
    ("300,000 chunks after its end", WHOLE + chunk(b"abCd") * 300_000, ""),
    (
        "data that goes on for 64 MiB",
        start() + chunk(b"IDAT", zlib.compress(ROWS) + BOMB) + END,
        "",
    ),
    ("64 MiB of data", start() + chunk(b"IDAT", BOMB) + END, ""),
    ("a text of 64 MiB", within(chunk(b"zTXt", b"a\0\0" + BOMB)), TOO_LARGE),
    ("an international text of 64 MiB", within(chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB)), TOO_LARGE),
    ("a colour profile of 64 MiB", within(chunk(b"iCCP", b"a\0\0" + BOMB)), TOO_LARGE),
    ("a colour profile that is none", within(chunk(b"iCCP", b"x")), NO_HEADER),
    ("transparency that is none", within(chunk(b"tRNS", b"")), "Truncated tRNS"),
    ("physical units that are none", within(chunk(b"pHYs", b"\0")), "Truncated pHYs"),
    ("an animation of 2^31 frames", within(FRAMES, frame(SIDE, SIDE)), ""),
    ("an animation of frames after its still image", within(FRAMES), ""),
    ("an animation whose first frame is empty", within(FRAMES, frame(0, 0)), "its whole size"),
    ("an animation whose first frame is large", within(FRAMES, frame(99, 99)), NO_HEADER),
    ("an animation of no frames", within(chunk(b"acTL", bytes(8))), ""),
    ("more after its end", WHOLE + b"PK\3\4" * 99, ""),
]


def _large(folder: Path) -> Path:
    path = folder / "x.png"
    path.write_bytes(WHOLE)
    os.truncate(path, 1 << 33)
    return path


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.png")
    return folder / "x.png"


CASES = [
    *(Case(f"png {n}", writing("x.png", content), picture, told) for n, content, told in PNG),
    Case("png 8 GiB of nothing", _large, picture, "x.png is 8,589,934,592 bytes long"),
    Case("png a pipe", _pipe, picture, "a pipe or a device"),
    Case(
        "png as a mask", writing("x.png", PNG[0][1]), lambda p: load_mask(str(p), (1, 4, 4)), LARGE
    ),
]
