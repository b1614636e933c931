"""metrics.jsonl: one line of metrics for each finished epoch."""

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

from elboroom.config.typed_tables import read
from elboroom.errors import DiskError, UsageError
from elboroom.runs.atomic import append_line, whole_lines, write_file
from elboroom.runs.read_errors import read_errors
from elboroom.training.metrics import EpochMetrics, History
from elboroom.untrusted import parse_json

METRICS = "metrics.jsonl"


class MetricsFile:
    """The metrics of a run, as `Run.metrics` holds them.

    Args:
        path: path of metrics.jsonl.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[str] = []

    def record(self, metrics: EpochMetrics) -> None:
        """Append the metrics of one epoch; if that fails, warn, and try again with the next."""
        self._pending.append(_to_line(metrics))
        try:
            self.write_pending()
        except DiskError as error:
            warnings.warn(
                f"metrics wait to be written, and training goes on: {error.what}: {error.why}",
                stacklevel=2,
            )

    def write_pending(self) -> None:
        """Write the metrics that could not be written yet.

        Raises:
            DiskError: if they cannot be written. They stay pending.
        """
        if self._pending:
            append_line(self.path, "\n".join(self._pending))
            self._pending.clear()

    def history(self) -> History:
        """Read the metrics of all epochs.

        Raises:
            RunError: if a line does not hold metrics.
        """
        with read_errors(self.path):
            return History(_from_line(line) for line in whole_lines(self.path))

    def rewind(self, step: int, steps_per_epoch: int) -> History:
        """Drop the metrics after a step from the file, and return those that remain.

        Warn of finished epochs that are missing or cannot be read, or that are all dropped.

        Raises:
            DiskError: if the file cannot be written.
        """
        with read_errors(self.path):
            found = list(self._readable())
        if found and not step:
            warnings.warn(
                f"training starts from the beginning: {self.path} has lines of {len(found):,} "
                "epochs, and there is no checkpoint of them",
                stacklevel=3,
            )
        history = History(m for m in found if m is not None and m.step <= step)
        self._warn_of_lost(history, step // steps_per_epoch, garbled=None in found)
        lines = "".join(_to_line(m) + "\n" for m in history)
        write_file(self.path, lines.encode())
        return history

    def _readable(self) -> Iterator[EpochMetrics | None]:
        """Yield the metrics of each line, None if it cannot be read.

        Nothing is read after a line that is too long.
        """
        with suppress(ValueError):
            for line in whole_lines(self.path):
                try:
                    yield _from_line(line)
                except (ValueError, UsageError):
                    yield None
            return
        yield None

    def _warn_of_lost(self, history: list[EpochMetrics], finished: int, *, garbled: bool) -> None:
        """Warn of finished epochs that the history lacks, as ranges: there may be many."""
        ends = [0, *sorted({m.epoch for m in history}), finished + 1]
        lost = [(a + 1, b - 1) for a, b in pairwise(ends) if b - a > 1]
        if lost:
            ranges = ", ".join(f"{a} to {b}" if a < b else str(a) for a, b in lost)
            why = ", since not all of its lines can be read" if garbled else ""
            warnings.warn(
                f"{self.path} has lost these epochs: {ranges}{why}. Steps do not depend on "
                "them, and training goes on; curves and --patience go without them.",
                stacklevel=4,
            )


def _to_line(metrics: EpochMetrics) -> str:
    return json.dumps(asdict(metrics))


def _from_line(line: bytes) -> EpochMetrics:
    # A held-out ELBO may have been NaN, which strict JSON does not have.
    return read(EpochMetrics, parse_json(line, finite=False))
