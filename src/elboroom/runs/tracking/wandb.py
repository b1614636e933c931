"""Weights & Biases: an offline run in the run folder, unless the environment asks for more."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.runs.tracking.png import png
from elboroom.runs.tracking.tracker import Status, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class WeightsAndBiases:
    """The run in RUN/wandb, which `wandb sync` uploads.

    It is offline unless WANDB_MODE says otherwise. Each offline part of a resumed training holds
    all epochs, and has the id of the first.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run.resolve()
        self._library: Any = None
        self._run: Any = None

    def start(self, config: Mapping[str, Value], name: str) -> int:
        """Begin or continue the run, and return the last step that it has."""
        self._library = import_module("wandb")
        self._run = self._library.init(
            project=os.environ.get("WANDB_PROJECT", "elboroom"),
            mode=os.environ.get("WANDB_MODE", "offline"),
            name=name,
            dir=self._folder,
            config=dict(config),
            id=self._known_id(),
            resume="allow",
            settings=self._library.Settings(silent=True, console="off"),
        )
        return max(0, self._run.step - 1)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log an epoch."""
        self._run.log(dict(metrics), step=step)

    def figure(self, name: str, figure: "Figure", step: int) -> None:
        """Log a figure as an image."""
        from PIL import Image  # loaded with matplotlib, and not before training

        self._run.log({name: self._library.Image(Image.open(png(figure)))}, step=step)

    def finish(self, status: Status) -> None:
        """End the run, with exit code 0 only if training is done."""
        self._run.finish(exit_code=0 if status == "done" else 1)

    def _known_id(self) -> str | None:
        """Return the id in the name of a folder of an earlier part, if there is one."""
        parts = sorted(self._folder.glob("wandb/*run-*-*"))
        return parts[0].name.split("-")[-1] if parts else None
