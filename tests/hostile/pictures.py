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


def other(kind: str, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (SIDE, SIDE)).save(buffer, kind)
    return buffer.getvalue()


def within(*chunks: bytes) -> bytes:
    """Write a whole picture with more chunks before its data."""
    return start() + b"".join(chunks) + DATA + END


NO_PICTURE, TORN = "it is no JPEG, PNG, WebP, TIFF, BMP or GIF", "cannot read the picture"
DENSE = "do not compress so well"
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


def patched(kind: str, at: int, field: str, *values: int, mode: str = "L") -> bytes:
    """Write a picture with other numbers at a place of its header."""
    content = bytearray(other(kind, mode))
    struct.pack_into(field, content, at, *values)
    return bytes(content)


def tiff(*entries: tuple[int, int, int, int], following: int = 0, data: bytes = bytes(16)) -> bytes:
    """Write a grey TIFF of 4 × 4 with some tags more; tags are (tag, type, count, value)."""
    tags = {256: (256, 3, 1, SIDE), 257: (257, 3, 1, SIDE), 258: (258, 3, 1, 8)}
    tags |= {259: (259, 3, 1, 1), 262: (262, 3, 1, 1), 273: (273, 4, 1, 8), 277: (277, 3, 1, 1)}
    tags |= {278: (278, 3, 1, SIDE), 279: (279, 4, 1, len(data))}
    tags |= {entry[0]: entry for entry in entries}
    directory = b"".join(struct.pack("<HHII", *tags[tag]) for tag in sorted(tags))
    start = struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data
    return start + struct.pack("<H", len(tags)) + directory + struct.pack("<I", following)


SOF = other("JPEG").index(b"\xff\xc0") + 5
OTHERS: list[tuple[str, bytes, str]] = [
    ("JPEG of 65,535 × 65,535", patched("JPEG", SOF, ">HH", 65_535, 65_535), LARGE),
    ("JPEG of no width", patched("JPEG", SOF, ">HH", SIDE, 0), TORN),
    ("JPEG of more than it has", patched("JPEG", SOF, ">HH", 3_000, 3_000), "has the wrong size"),
    ("JPEG without an end", other("JPEG")[:-2], TORN),
    ("JPEG that is cut short", other("JPEG")[:-40], TORN),
    ("JPEG of markers alone", b"\xff\xd8" + b"\xff\xe0\0\2" * 200_000, TORN),
    ("GIF of 65,535 × 65,535", patched("GIF", 6, "<HH", 65_535, 65_535), LARGE),
    ("GIF without a picture", other("GIF")[:13], TORN),
    ("GIF of blocks alone", other("GIF")[:13] + b"!\xfe\1x\0" * 200_000, TORN),
    ("BMP of 2^31 columns", patched("BMP", 18, "<ii", 2**31 - 1, SIDE), LARGE),
    ("BMP of 2^31 rows upside down", patched("BMP", 18, "<ii", SIDE, -(2**31)), LARGE),
    ("BMP of no bits", patched("BMP", 28, "<H", 0), TORN),
    ("BMP whose pixels are elsewhere", patched("BMP", 10, "<I", 2**31), TORN),
    ("WebP of 16,384 × 16,384", patched("WEBP", 24, "<HH", 0x3FFF, 0x3FFF, mode="RGB"), TORN),
    ("WebP of 4 GiB", patched("WEBP", 4, "<I", 2**32 - 1, mode="RGB"), TORN),
    ("TIFF", tiff(), ""),
    ("TIFF of 2^62 pixels", tiff((256, 4, 1, 2**31 - 1), (257, 4, 1, 2**31 - 1)), LARGE),
    ("TIFF of 10^8 pixels", tiff((256, 4, 1, 10_000), (257, 4, 1, 10_000)), DENSE),
    ("TIFF whose pages come back", tiff(following=24), ""),
    ("TIFF whose pixels are elsewhere", tiff((273, 4, 1, 2**31)), TORN),
    ("TIFF of 2^31 strips", tiff((273, 4, 2**31 - 1, 8)), TORN),
    ("TIFF of 2^31 bits", tiff((258, 3, 2**31 - 1, 8)), ""),
    ("TIFF of floats", tiff((258, 3, 1, 32), (339, 3, 1, 3), data=bytes(64)), "of mode F"),
    ("TIFF packed by an unknown method", tiff((259, 3, 1, 9_999)), TORN),
    ("TIFF whose EXIF is elsewhere", tiff((34665, 4, 1, 2**31)), ""),
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
    *(Case(f"picture {n}", writing("x", content), picture, told) for n, content, told in OTHERS),
    *(Case(f"png {n}", writing("x.png", content), picture, told) for n, content, told in PNG),
    Case("png 8 GiB of nothing", _large, picture, "x.png is 8,589,934,592 bytes long"),
    Case("png a pipe", _pipe, picture, "a pipe or a device"),
    Case(
        "png as a mask", writing("x.png", PNG[0][1]), lambda p: load_mask(str(p), (1, 4, 4)), LARGE
    ),
]
