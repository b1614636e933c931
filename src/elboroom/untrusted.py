"""Reading files that somebody else may have written: everything is checked before it is used.

A bad file raises a `ValueError`, which the caller turns into an error for the user.
"""

import json
import os
import stat
import tomllib
from io import BufferedReader, FileIO
from itertools import chain
from pathlib import Path
from typing import Any

_MAX_RATIO = 256  # images stay below this ratio; zeros reach 1,030
_UNSUSPICIOUS = 16 << 20  # bytes that may be compressed by any ratio
_MOST_DOTS = 8  # in a TOML key, because tomllib takes time quadratic in them


def open_file(path: Path | str) -> BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: the file is missing, a folder, or not readable.
        ValueError: the file is a pipe or a device, which may never end.
    """
    return BufferedReader(_open(path))  # `open` asks the system whether it is a terminal


def read_bytes(path: Path | str, most: float) -> bytes:
    """Read a file of at most `most` bytes; its size is checked first.

    Raises:
        OSError: the file is missing, a folder, or not readable.
        ValueError: the file is larger, or a pipe or a device.
    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            name = os.path.basename(path)
            raise ValueError(f"{name} is {size:,} bytes long; at most {most:,} are allowed")
        content = file.read(size)
        while len(content) < size and (more := file.read(size - len(content))):
            content += more
        return content


def _open(path: Path | str) -> FileIO:
    """Open a file, not a pipe or a device, without a buffer."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is a pipe or a device; expected a file")
    return FileIO(os.fspath(path))


def require_dense(packed: int, held: int) -> None:
    """Reject a decompression bomb: `held` bytes from only `packed`.

    Raises:
        ValueError: no images compress so well.
    """
    if held > max(_UNSUSPICIOUS, _MAX_RATIO * packed):
        raise ValueError(f"its {packed:,} bytes unpack to {held:,}; data do not compress so well")


def parse_json(content: bytes, *, finite: bool = True) -> Any:
    """Parse JSON in UTF-8.

    Args:
        content: the bytes.
        finite: True if NaN and Infinity, which are not part of JSON, are rejected.

    Raises:
        ValueError: the content is not such JSON, gives a name twice, or is nested too deeply.
    """
    constants = _reject if finite else float
    try:
        return json.loads(
            content.decode(), object_pairs_hook=_without_duplicates, parse_constant=constants
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """Parse TOML in UTF-8.

    Raises:
        ValueError: the content is not TOML, or nested too deeply.
    """
    text = content.decode()
    if any(line.partition("=")[0].count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError("its keys are nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def require_no_links(folder: Path, *below: str) -> None:
    """Check that a folder contains no symbolic link.

    A name inside it then cannot lead outside. The folder itself may be a link.

    Args:
        folder: the folder, whose entries are checked.
        below: names of folders inside it that are checked at any depth.

    Raises:
        ValueError: an entry is a symbolic link.
    """
    top = next(os.walk(folder), ("", [], []))
    for path, folders, files in chain([top], *(os.walk(folder / name) for name in below)):
        for name in (*folders, *files):
            if Path(path, name).is_symlink():
                raise ValueError(f"{name} is a symbolic link, which may lead out of the folder")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("it gives a name twice")
    return table


def _reject(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
