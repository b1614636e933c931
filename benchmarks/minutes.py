"""`--minutes`: the share of the time asked for that the whole command takes, quiet and busy."""

import json
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Event, Thread

from benchmarks.results import Row
from benchmarks.side_by_side import busy_core
from benchmarks.trained_runs import elboroom

_LEAST, _MOST = 95.0, 102.0  # % of the time asked for
_SECONDS = 10.0  # that a core is busy, and then is not
_CASES: dict[str, tuple[str, float]] = {
    "fully connected": ("mnist-1min", 1.0),
    "a ladder": ("mnist-ladder-20min", 2.0),
}


@contextmanager
def _core_busy_now_and_then() -> Iterator[None]:
    """Keep a core busy for some seconds, leave it alone for as many, and so on."""
    ended = Event()

    def alternate() -> None:
        while not ended.is_set():
            with busy_core():
                ended.wait(_SECONDS)
            ended.wait(_SECONDS)

    thread = Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


_MACHINES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "a quiet machine": nullcontext,
    "a core busy all the time": busy_core,
    "a core busy every other ten seconds": _core_busy_now_and_then,
}


def measure(quick: bool) -> Iterator[Row]:
    """Measure how much of its minutes each training takes, and how far its schedule came."""
    for name, (preset, minutes) in _CASES.items():
        asked = 0.1 if quick else minutes
        for machine, kept in _MACHINES.items():
            with kept():
                share, rate = _train(preset, asked)
            what = f"--minutes {asked:g}, {name}, {machine}"
            yield Row(f"{what}: the whole command", [share], "% of the time")
            outside = max(0.0, _LEAST - share, share - _MOST)
            reach = None if quick else 0.0
            yield Row(f"{what}: outside of {_LEAST:g} to {_MOST:g} %", [outside], "%", reach)
            yield Row(f"{what}: last learning rate", [rate], "% of the highest")


def _train(preset: str, minutes: float) -> tuple[float, float]:
    """Train, and return the time as a share of that asked for, and the last learning rate, in %."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        clock = time.perf_counter()
        elboroom("train", "--preset", preset, "--minutes", str(minutes), "--out", str(run))
        seconds = time.perf_counter() - clock
        rates = [json.loads(line)["learning_rate"] for line in (run / "metrics.jsonl").open()]
        highest = tomllib.loads((run / "config.toml").read_text())["train"]["learning_rate"]
    return 100 * seconds / (60 * minutes), 100 * rates[-1] / highest
