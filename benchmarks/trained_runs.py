"""Runs of presets that benchmarks train and evaluate by the command, and keep the results of."""

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import processor


@dataclass(frozen=True)
class Trained:
    """A preset that is trained with a seed, and evaluated.

    Attributes:
        area: the benchmark that it belongs to.
        preset: its name.
        seed: the seed of the training.
        options: further options of `elboroom train`.
        epochs: how many to train, on any machine; None for the minutes of the preset.
        suffix: tells runs of other options apart.
    """

    area: str
    preset: str
    seed: int = 0
    options: tuple[str, ...] = ()
    epochs: int | None = None
    suffix: str = ""

    @property
    def name(self) -> str:
        """The name of its files."""
        epochs = "" if self.epochs is None else f"-{self.epochs}-epochs"
        return f"{self.preset}{epochs}{self.suffix}-{self.seed}"

    @property
    def kept(self) -> Path:
        """The file that holds its evaluation, once it was made."""
        return Path("benchmarks/results") / self.area / f"{self.name}.json"

    def evaluated(self, options: Sequence[str], *, quick: bool) -> dict[str, Any]:
        """Train and evaluate, unless both are on disk.

        Args:
            options: options of `elboroom evaluate`.
            quick: train one epoch alone, and keep nothing.

        Returns:
            The evaluation, with the seconds that `elboroom train` took as `training`, its `epochs`,
            the processor or card as `trained_on`, and the run's folder as `run`.
        """
        if self.kept.exists() and not quick:
            return json.loads(self.kept.read_text())
        path = Path("runs/benchmarks") / self.area / f"{self.name}-{time.time():.0f}"
        seconds = self._train(path, quick=quick)
        elboroom("evaluate", str(path), *options)
        config = tomllib.loads((path / "config.toml").read_text())
        device = config["environment"]["device"]
        epochs = json.loads((path / "metrics.jsonl").read_text().splitlines()[-1])["epoch"]
        on = processor() if device == "cpu" else device
        found = json.loads((path / "evaluation.json").read_text())
        found |= {"training": seconds, "epochs": epochs, "trained_on": on, "run": str(path)}
        if not quick:
            self.kept.parent.mkdir(exist_ok=True)
            self.kept.write_text(json.dumps(found, indent=1) + "\n")
        return found

    def _train(self, path: Path, *, quick: bool) -> float:
        """Train into a folder, and return the seconds that it took."""
        epochs = 1 if quick else self.epochs
        short = () if epochs is None else ("--minutes", "None", "--epochs", str(epochs))
        given = "--preset", self.preset, "--seed", str(self.seed), "--out", str(path)
        clock = time.perf_counter()
        elboroom("train", *given, *self.options, *short)
        return time.perf_counter() - clock


def elboroom(*arguments: str) -> None:
    """Run a command of elboroom."""
    subprocess.run([sys.executable, "-m", "elboroom", *arguments, "--quiet"], check=True)
