"""The explorer: from a stroke to the posterior on the screen, and fifty clients at once."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import explorer_clients, explorer_strokes
from benchmarks.results import Row
from benchmarks.trained_runs import elboroom

_PLANE, _SPACE = "plane", "space"
_PRESETS = {_PLANE: ("reference", 50), _SPACE: ("mnist", 10)}
"""The preset and the epochs of each run."""


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows; `quick` trains and paints little, and judges nothing.

    The browser, the clients and the server share the cores.
    """
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder), quick) as (pid, address):
        for row in _rows(pid, address, quick):
            yield replace(row, reach=None) if quick else row


def _rows(pid: int, address: str, quick: bool) -> Iterator[Row]:
    moves = 20 if quick else 200
    with explorer_strokes.opened(address) as page:
        for name, method, reach in ((_PLANE, "grid", 100.0), (_SPACE, "laplace", 300.0)):
            yield from explorer_strokes.rows(page, address, name, method, reach, moves)
    yield from explorer_clients.rows(pid, address, _PLANE, seconds=3 if quick else 30)


@contextmanager
def _served(folder: Path, quick: bool) -> Iterator[tuple[int, str]]:
    """Serve newly trained runs, and give the process and the address."""
    runs = [_trained(folder / name, name, quick) for name in _PRESETS]
    line = [sys.executable, "-m", "elboroom", "explore", *runs, "--port", "0", "--no-browser"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.pid, server.stdout.readline().removeprefix("open ").strip()
        finally:
            server.kill()


def _trained(path: Path, name: str, quick: bool) -> str:
    preset, epochs = _PRESETS[name]
    short = ("--epochs", "1" if quick else str(epochs))
    elboroom("train", "--preset", preset, *short, "--out", str(path))
    return str(path)
