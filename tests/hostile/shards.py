"""Hostile folders of numbered arrays."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.registry import read_data
from tests.hostile.arrays import OBJECTS, PROMISES, of
from tests.hostile.case import Case

Make = Callable[[Path], Path]
held = partial(read_data, config=DataConfig(binarisation="none"))
mapped = partial(read_data, config=DataConfig(binarisation="none", memory=0))
WHOLE = of("(2, 4)", "'|u1'", bytes(range(8)))
FORTRAN = WHOLE.replace(b"'fortran_order': False", b"'fortran_order': True ")


def shards(**others: bytes) -> Make:
    """Make two whole shards, and others by their names without .npy."""
    names = {"0": WHOLE, "1": WHOLE} | {name.strip("_"): held for name, held in others.items()}

    def make(folder: Path) -> Path:
        for name, content in names.items():
            (folder / f"{name}.npy").write_bytes(content)
        return folder

    return make


def beside(act: Callable[[Path], object]) -> Make:
    """Make two whole shards, and call `act` with their folder."""

    def make(folder: Path) -> Path:
        act(shards()(folder))
        return folder

    return make


def many_empty(folder: Path) -> Path:
    for number in range(5_000):
        (folder / f"{number}.npy").touch()
    return folder


SHARDS: list[tuple[str, Make, str]] = [
    ("two", shards(), ""),
    ("a missing number", shards(_3=WHOLE), "found no shard 2 before 3.npy"),
    ("a number twice", shards(_01=WHOLE), "another shard has the number 1"),
    ("a number of 200 digits", shards(**{"9" * 200: WHOLE}), "found no shard 2 before 999"),
    ("another name", shards(x2=WHOLE), "differs from 0.npy in more than one number"),
    ("another type", shards(_2=of("(2, 4)", "'|i1'", bytes(8))), "its rows are int8 of shape (4,)"),
    ("another shape", shards(_2=of("(2, 2)", "'|u1'", bytes(4))), "its rows are uint8 of shape (2"),
    ("no rows", shards(_2=of("(0, 4)", "'|u1'", b"")), "it is empty"),
    ("no axis", shards(_2=of("()", "'|u1'", b"\0")), "it is empty"),
    ("Fortran order", shards(_2=FORTRAN), "it is in Fortran order"),
    ("objects", shards(_2=OBJECTS), "would run their code"),
    ("terabytes", shards(_2=of("(1000000, 1000000)", "'|u1'")), PROMISES),
    ("a torn shard", shards(_2=WHOLE[:-3]), PROMISES),
    ("an empty file", shards(_2=b""), "cannot read the shard"),
    ("5,000 empty files", many_empty, "cannot read the shard"),
    ("a link", beside(lambda f: (f / "2.npy").symlink_to("1.npy")), "is a symbolic link"),
    ("a link to a device", beside(lambda f: (f / "2.npy").symlink_to("/dev/zero")), "is a symbol"),
    ("a pipe", beside(lambda f: os.mkfifo(f / "2.npy")), "a folder, a pipe or a device"),
    ("a folder", beside(lambda f: (f / "2.npy").mkdir()), "a folder, a pipe or a device"),
    ("another file", beside(lambda f: (f / "notes.txt").touch()), "it is no numbered .npy"),
    ("a hidden file", beside(lambda f: (f / ".DS_Store").touch()), ""),
    ("a name that moves the cursor", beside(lambda f: (f / "\x1b[2J").touch()), r"\x1b[2J"),
    ("rows of nothing", beside(lambda f: (f / "rows.npz").touch()), "does not hold the rows"),
    ("rows that are a pipe", beside(lambda f: os.mkfifo(f / "rows.npz")), "a pipe or a device"),
    (
        "rows of another array",
        beside(lambda f: np.savez(f / "rows.npz", part=["train"])),
        "is uint8 of shape (4, 4)",
    ),
]
CASES = [
    *(Case(f"shards {name}", make, held, told) for name, make, told in SHARDS),
    *(Case(f"mapped shards {name}", make, mapped, told) for name, make, told in SHARDS),
]
