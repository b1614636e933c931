"""A tracker that keeps what it is told, and what it is to be told of a run."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from elboroom.config import TrainConfig
from elboroom.runs.run import Run

QUICK = TrainConfig(
    epochs=3, batch_size=50, threads=1, device="cpu", precision="fp32", evaluate_every=2
)


class Recorder:
    """A tracker that keeps what it is told, and fails where it is asked to."""

    def __init__(self, has: int | None = None, fails: str = "") -> None:
        self.has, self.fails = has, fails
        self.config: Mapping[str, Any] = {}
        self.name = ""
        self.epochs = list[tuple[int, dict[str, float]]]()
        self.figures = list[tuple[str, int]]()
        self.ends = list[str]()
        self.calls = list[str]()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call == self.fails:
            raise OSError(28, "No space left on device")

    def start(self, config: Mapping[str, Any], name: str) -> int | None:
        self._note("start")
        self.config, self.name = config, name
        return self.has

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._note("log")
        self.epochs.append((step, dict(metrics)))

    def figure(self, name: str, figure: Figure, step: int) -> None:
        self._note("figure")
        assert figure.axes
        self.figures.append((name, step))

    def finish(self, status: str) -> None:
        self._note("finish")
        self.ends.append(status)


def in_file(run: Run) -> list[tuple[int, dict[str, float]]]:
    """The step and the numbers of each line of metrics.jsonl."""
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [(r.pop("step"), {k: v for k, v in r.items() if v is not None}) for r in rows]


def stop_at(step: int) -> Callable[[], bool]:
    """Return a `stop` that ends a training from its beginning after a step."""
    calls: Iterator[int] = iter(range(10_000))
    return lambda: next(calls) == step
