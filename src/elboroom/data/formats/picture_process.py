"""A process that reads the pictures of a folder for another.

It imports neither PyTorch nor the program that starts it, which need not expect to be run twice.
The names of some pictures go in as a line of JSON; out come such a line, and their bytes.
"""

import gc
import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from threading import Timer
from typing import Any, BinaryIO

import numpy as np

from elboroom.data.formats.picture_files import content_in
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import Prepared, Recipe, without_warnings
from elboroom.errors import DataError

PROGRAM = f"""
import json, sys
sys.path[:], folder = json.loads(sys.stdin.buffer.readline())
from {__name__} import serve
serve(folder)
"""
_READY, _NO_MEMORY = b"ready\n", b"no memory\n"
_PATIENCE = 30.0  # seconds until it must be ready
_BUFFER, _PIPE = 1 << 18, 1 << 20  # bytes; a process need not wait for another in between
_DEAF_TO = {"SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"}  # sent to both processes; one answers


class PictureProcess:
    """A process that reads pictures, for one thread at a time.

    Args:
        folder: the folder of the pictures.

    Raises:
        OSError: if the system refuses to start it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        flags = ("-I", "-B", f"-Xutf8={sys.flags.utf8_mode}")
        self._process = Popen(
            [sys.executable, *flags, "-c", PROGRAM],
            bufsize=_BUFFER,
            pipesize=_PIPE,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it multiplies no matrices
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._into: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._out: BinaryIO = self._process.stdout  # type: ignore[assignment]
        self._send([sys.path, os.path.abspath(folder)])

    def require_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            ChildProcessError: if it cannot be had, perhaps as Python is part of another program.
        """
        timer = Timer(_PATIENCE, self._process.kill)
        timer.start()
        try:
            if self._out.readline() != _READY:
                raise ChildProcessError
        finally:
            timer.cancel()

    def read(self, names: Sequence[str], recipe: Recipe) -> list[PictureRow]:
        """Read pictures as `PictureRow.read` does.

        Raises:
            DataError: if the process ends before it is done.
            MemoryError: if its memory runs out.
        """
        try:
            self._send([names, asdict(recipe)])
            line = self._out.readline()
            if line == _NO_MEMORY:
                raise MemoryError(f"there is not enough to decode one of {_shown(names)}")
            if not line.endswith(b"\n"):
                raise EOFError
            rows = json.loads(line)
            content = self._content(sum(math.prod(row["shape"] or [0]) for row in rows))
        except (OSError, EOFError) as error:
            raise self._ended_error(names) from error
        return list(_rows(names, rows, content))

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._into, self._out):
            with suppress(OSError):  # what was not sent
                pipe.close()

    def _send(self, message: list[Any]) -> None:
        self._into.write(json.dumps(message).encode() + b"\n")
        self._into.flush()

    def _content(self, size: int) -> bytes:
        content = self._out.read(size)
        if len(content) < size:
            raise EOFError
        return content

    def _ended_error(self, names: Sequence[str]) -> DataError:
        code = self._process.wait()
        how = f"with code {code}" if code >= 0 else f"by signal {-code}"
        return DataError(
            f"cannot read the pictures of {self._folder}",
            why=f"a process that decodes them was ended {how}, at one of {_shown(names)}",
            fix="run it again with more memory free; if it ends there again, take that one out",
        )


def _shown(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _rows(names: Sequence[str], rows: list[dict[str, Any]], content: bytes) -> Iterator[PictureRow]:
    """Yield rows that `_answer` wrote."""
    values, start = np.frombuffer(content, np.uint8), 0
    for name, row in zip(names, rows, strict=True):
        shape = row["shape"]
        if shape is None:
            yield PictureRow(name, None, row["why"])
            continue
        end = start + math.prod(shape)
        prepared = Prepared(values[start:end].reshape(shape), **row["changes"])
        yield PictureRow(name, prepared, misnamed=row.get("misnamed", ""))
        start = end


def serve(folder: str) -> None:
    """Read the pictures that stdin names until it is closed.

    Args:
        folder: the folder that they are in.
    """
    for number in signal.Signals:
        if number.name in _DEAF_TO:
            signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # what is imported stays
    with os.fdopen(os.dup(1), "wb", _BUFFER) as out, without_warnings():
        os.dup2(2, 1)  # what a library prints must not come between
        out.write(_READY)
        out.flush()
        try:
            for line in sys.stdin.buffer:
                _answer(out, folder, *json.loads(line))
                out.flush()
        except MemoryError:
            out.write(_NO_MEMORY)


def _recipe(size: list[int] | None, background: list[int], **others: Any) -> Recipe:
    """Return a recipe of which JSON has made lists of tuples."""
    width_and_height = None if size is None else (size[0], size[1])
    red, green, blue = background
    return Recipe(size=width_and_height, background=(red, green, blue), **others)


def _answer(out: BinaryIO, folder: str, names: list[str], options: dict[str, Any]) -> None:
    """Read pictures by the options of a recipe, and write what `PictureProcess` makes rows of."""
    recipe = _recipe(**options)
    rows = [PictureRow.read(name, partial(content_in, folder, name), recipe) for name in names]
    out.write(json.dumps([_head(row) for row in rows]).encode() + b"\n")
    for row in rows:
        if row.prepared is not None:
            out.write(row.prepared.values.data)


def _head(row: PictureRow) -> dict[str, Any]:
    """Return all of a row but its name and its values, whose shape is None if there are none."""
    if row.prepared is None:
        return {"why": row.why, "shape": None}
    found = vars(row.prepared).items()
    changes = {name: x for name, x in found if x is not None and x is not False}
    shape = changes.pop("values").shape
    told = {"misnamed": row.misnamed} if row.misnamed else {}
    return {"shape": shape, "changes": changes, **told}
