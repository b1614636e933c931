"""Hostile folders of pictures."""

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from elboroom.config import DataConfig
from elboroom.data.formats.folder import read_folder
from tests.hostile.case import Case
from tests.hostile.pictures import (
    BOMB,
    CUT,
    DATA,
    END,
    LARGE,
    NO_HEADER,
    NO_PICTURE,
    TOO_LARGE,
    WHOLE,
    chunk,
    head,
    other,
    start,
)

held = partial(read_folder, config=DataConfig(binarisation="none"))
Make = Callable[[Path], Path]
SIDE = 9_000  # whose square is decoded
DENSE = "do not compress so well"
FULL = chunk(b"IDAT", random.Random(0).randbytes(2 << 20))


def holding(**contents: bytes) -> Make:
    """Make a whole picture and others, by their names without .png."""
    return named({f"{name}.png": content for name, content in contents.items()})


def named(contents: dict[str, bytes]) -> Make:
    """Make a whole picture and other files, some of them in folders."""

    def make(folder: Path) -> Path:
        for name, content in ({"m.png": WHOLE} | contents).items():
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(content)
        return folder

    return make


def alone(content: bytes) -> Make:
    return holding(m=content)


def beside(act: Callable[[Path], object]) -> Make:
    """Make a whole picture, and call `act` with its folder."""

    def make(folder: Path) -> Path:
        holding()(folder)
        act(folder)
        return folder

    return make


def classes(*names: str) -> Make:
    """Make folders of these names, each with a whole picture."""

    def make(folder: Path) -> Path:
        for name in names:
            (folder / name).mkdir(parents=True)
            (folder / name / "x.png").write_bytes(WHOLE)
        return folder

    return make


def with_(make: Make, act: Callable[[Path], object]) -> Make:
    def make_both(folder: Path) -> Path:
        act(make(folder))
        return folder

    return make_both


def empty_files(folder: Path) -> Path:
    for number in range(20_000):
        (folder / f"{number}.png").touch()
    return folder


def link(folder: Path, name: str, target: str | Path) -> None:
    (folder / name).symlink_to(target)


def sparse(folder: Path) -> None:
    os.truncate(folder / "m.png", 1 << 33)


def pipe(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)


LINK, TORN = "is a symbolic link", "cannot read the picture"
LAYOUT, LINE, PIPE = "is not a folder of pictures", "has a line break", "is a pipe or a device"
FOLDERS: list[tuple[str, Make, str]] = [
    ("10^10 pixels", alone(start(100_000, 100_000) + DATA + END), LARGE),
    ("2^64 pixels", alone(start(2**32 - 1, 2**32 - 1) + DATA + END), LARGE),
    ("no pixels", alone(start(0, 4) + DATA + END), NO_HEADER),
    ("a bomb", alone(start(SIDE, SIDE) + chunk(b"IDAT", BOMB) + END), DENSE),
    ("more pixels than are decoded", alone(start(9_500, 9_500, 8, 2) + FULL + END), "are decoded"),
    ("a bomb of bits", alone(start(16_000, 11_000, 1) + DATA + END), DENSE),
    ("a bomb among pictures", holding(x=start() + chunk(b"IDAT", BOMB) + END), ""),
    (
        "a text of 64 MiB",
        holding(x=start() + chunk(b"zTXt", b"a\0\0" + BOMB) + DATA + END),
        TOO_LARGE,
    ),
    ("10^10 pixels among pictures", holding(x=start(10**5, 10**5) + DATA + END), LARGE),
    ("another size", holding(x=start(4, 5) + DATA + END), "1 of 4 × 5, such as x.png"),
    ("another size later", holding(x=start() + head(10**5, 10**5) + DATA + END), LARGE),
    ("8 GiB of nothing", beside(sparse), "m.png is 8,589,934,592 bytes long"),
    ("a torn picture", holding(x=WHOLE[:-20]), CUT),
    ("a torn header", holding(x=WHOLE[:20]), CUT),
    ("an unknown colour", holding(x=start(4, 4, 8, 9) + DATA + END), NO_HEADER),
    ("an unknown depth", holding(x=start(4, 4, 255) + DATA + END), NO_HEADER),
    ("a bomb of no bits", alone(start(64_000, 8_000, 0) + DATA + END), NO_HEADER),
    ("colours of one bit", alone(start(4, 4, 1, 2) + DATA + END), NO_HEADER),
    ("an empty picture", holding(x=b""), NO_PICTURE),
    ("20,000 empty pictures", empty_files, NO_PICTURE),
    ("a JPEG of another name", holding(x=other("JPEG")), ""),
    ("a JPEG", named({"x.jpg": other("JPEG")}), ""),
    ("thumbnails", named({"Thumbs.db": b"x"}), ""),
    ("a table", named({"labels.csv": b"x"}), ""),
    ("a run", named({"config.toml": b""}), "is a run"),
    ("a link to a picture", beside(lambda f: link(f, "x.png", "m.png")), LINK),
    ("a link to outside", beside(lambda f: link(f, "x.png", "/etc/passwd")), LINK),
    ("a link to a device", beside(lambda f: link(f, "x.png", "/dev/zero")), LINK),
    ("a link to nothing", beside(lambda f: link(f, "x.png", "gone.png")), LINK),
    ("a link to itself", beside(lambda f: link(f, "x.png", "x.png")), LINK),
    ("a class that is a link", with_(classes("a"), lambda f: link(f, "b", "a")), LINK),
    ("a class that is its folder", with_(classes("a"), lambda f: link(f, "b", ".")), LINK),
    ("a link in a class", with_(classes("a"), lambda f: link(f / "a", "y.png", "x.png")), LINK),
    ("a part that is a link", with_(classes("train"), lambda f: link(f, "test", "/")), LINK),
    ("a pipe", beside(lambda f: pipe(f, "x.png")), PIPE),
    ("a pipe as a class", with_(classes("a"), lambda f: pipe(f, "b")), PIPE),
    ("a pipe in a class", with_(classes("a"), lambda f: pipe(f / "a", "y.png")), PIPE),
    ("a pipe as a config", beside(lambda f: pipe(f, "config.toml")), PIPE),
    ("a folder that is named as a picture", classes("x.png/y.png"), ""),
    ("a folder among pictures", beside(lambda f: (f / "x.png").mkdir()), ""),
    ("300 folders within each other", classes("a/" * 300), "more than 16 deep"),
    ("3,000 empty classes", lambda f: [(f / f"{n}").mkdir() for n in range(3_000)] and f, LAYOUT),
    ("nothing", lambda folder: folder, "found no files; expected pictures"),
    ("a name that moves the cursor", named({"\x1b[2J.png": b""}), r"\x1b[2J.png"),
    ("a name that is no text", named({os.fsdecode(b"\xff.png"): b""}), r"\udcff.png"),
    ("a name that says why", named({"x\n  why: it is right.png": b""}), LINE),
    ("a name that ends a line", named({"x.png\n": WHOLE}), LINE),
    ("a class that ends a line", classes("x\u2028y"), LINE),
    ("a name of 255 letters", named({"x" * 251 + ".png": b""}), NO_PICTURE),
]
CASES = [Case(f"folder {name}", make, held, told) for name, make, told in FOLDERS]
