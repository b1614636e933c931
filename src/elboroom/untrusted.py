"""Files that somebody else may have written: nothing in them is believed before it is checked.

What is wrong with one is a `ValueError`, which its reader puts into words for the user.
"""

import json
import os
import stat
import tomllib
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any

_PACKED = 256  # times smaller than what it holds, which images are not: all zeros reach 1,030
_UNSUSPICIOUS = 16 << 20
_DEPTH_OF_KEYS = 8  # dots before a TOML value, in each of which tomllib looks all of them through


def open_file(path: Path) -> BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: it is missing, a folder, or may not be read.
        ValueError: it is a pipe or a device, which may never end.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is a pipe or a device, and not a file")
    return path.open("rb")


def read_bytes(path: Path, most: float) -> bytes:
    """The bytes of a file that has `most` of them or fewer, which is checked before they are read.

    Raises:
        OSError: as of `open_file`.
        ValueError: it is larger, or not a file.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{path.name} has {size:,} bytes, of {most:,} at most")
        return file.read(size)


def require_dense(packed: int, held: int) -> None:
    """That `packed` bytes which unpack to `held` may be images, and were not made to fill memory.

    Raises:
        ValueError: they are too few.
    """
    if held > max(_UNSUSPICIOUS, _PACKED * packed):
        raise ValueError(f"its {packed:,} bytes hold {held:,}, as no images do")


def parse_json(content: bytes, *, finite: bool = True) -> Any:
    """The value that UTF-8 JSON spells.

    Args:
        content: the bytes.
        finite: whether NaN and Infinity, which JSON does not have, are refused.

    Raises:
        ValueError: it is no such JSON, it gives a name twice, or is nested too deeply.
    """
    constants = _refuse if finite else float
    try:
        return json.loads(content.decode(), object_pairs_hook=_once, parse_constant=constants)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables that UTF-8 TOML spells.

    Raises:
        ValueError: it is no TOML, or nested too deeply.
    """
    text = content.decode()
    if any(line.partition("=")[0].count(".") > _DEPTH_OF_KEYS for line in text.splitlines()):
        raise ValueError("its keys are nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def require_no_links(folder: Path, *below: str) -> None:
    """That nothing in `folder`, or at any depth of its folders `below`, is a symbolic link.

    What is read or written by a name within it then lies within it. It may be a link itself.

    Raises:
        ValueError: there is a link.
    """
    top = next(os.walk(folder), ("", [], []))
    for path, folders, files in chain([top], *(os.walk(folder / name) for name in below)):
        for name in (*folders, *files):
            if Path(path, name).is_symlink():
                raise ValueError(f"{name} is a symbolic link, which may lead out of the folder")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("it gives a name twice")
    return table


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
