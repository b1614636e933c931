"""What is made of the model of a run, in files of its folder that say of which step it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from elboroom.config.typed_tables import require_type
from elboroom.errors import RunError, UsageError
from elboroom.runs import atomic
from elboroom.runs.checkpoints import checkpoint as checkpoints
from elboroom.runs.provenance import mark, marked_model, marked_step
from elboroom.untrusted import parse_json, read_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EVALUATION, _PER_IMAGE, _REPORT = "evaluation.json", "evaluation.npz", "report.html"
_HISTORY = "curves"  # the figure that shows more than a checkpoint
_LARGEST_EVALUATION = 1 << 22  # bytes


class Results:
    """The results of a run; `elboroom.Run` has them.

    Args:
        path: of the run folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_evaluation(self, evaluation: dict[str, Any], per_image: dict[str, Tensor]) -> Path:
        """Write evaluation.json, which begins with `origin`, and evaluation.npz, image by image."""
        buffer = BytesIO()
        arrays: dict[str, Any] = {name: values.numpy() for name, values in per_image.items()}
        np.savez(buffer, **arrays)
        self._write(_PER_IMAGE, buffer.getvalue())
        return self._write(_EVALUATION, atomic.as_json(evaluation).encode())

    def read_evaluation(self) -> dict[str, Any] | None:
        """What `write_evaluation` wrote, or None.

        Raises:
            RunError: the file is no JSON of a table.
        """
        path = self.path / _EVALUATION
        if not path.exists():
            return None
        with self.reading(_EVALUATION):
            found = parse_json(read_bytes(path, _LARGEST_EVALUATION))
            require_type("evaluation", found, dict[str, Any])
            return found

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """What is found to be wrong with the file `name` is told as such.

        Raises:
            RunError: the file cannot be read, or holds something else.
        """
        try:
            yield
        except (OSError, ValueError, KeyError, UsageError) as error:
            raise RunError(
                f"{self.path / name} cannot be read",
                why=str(error).replace("\n  why: ", ": ").splitlines()[0],
                fix="restore it from where the run was made, or remove it",
            ) from error

    def write_figure(self, name: str, figure: "Figure", step: int) -> list[Path]:
        """Write figures/NAME.png and .svg, which say of which step the model was."""
        atomic.make_folder(self.path / "figures")
        paths, description = [], {"Description": mark(step, self.model_of(step))}
        for kind in ("png", "svg"):
            buffer = BytesIO()
            figure.savefig(buffer, format=kind, dpi=200, metadata=description)
            paths.append(self._write(f"figures/{name}.{kind}", buffer.getvalue()))
        return paths

    def figures(self) -> dict[str, Path]:
        """The PNG of every figure drawn so far, by name."""
        return {path.stem: path for path in sorted((self.path / "figures").glob("*.png"))}

    def holds(self, name: str, step: int) -> bool:
        """Whether the run has the file `name`, of the model at that step.

        Curves show the history, which goes on after it: they must be made since the newest
        checkpoint too.
        """
        history = Path(name).stem == _HISTORY
        return self.is_of(name, step) and (not history or self._is_recent(name))

    def is_of(self, name: str, step: int | None) -> bool:
        """Whether the file `name` is made of the model at that step, as the run has it now.

        Raises:
            RunError: it cannot be read.
        """
        if step is None or self.step_of(name) != step:
            return False
        with self.reading(name):
            said = marked_model(self.path / name)
        return said in (None, self.model_of(step))

    def origin(self, step: int) -> dict[str, Any]:
        """What an evaluation begins with: which model it is of."""
        return {"step": step, "model": self.model_of(step)}

    def model_of(self, step: int) -> str | None:
        """What tells the weights at a step from others at it; None if they are not known."""
        return checkpoints.model_of(self._checkpoints, step)

    def step_of(self, name: str) -> int | None:
        """The step of the model that the file `name` is made of; None if there is no telling.

        A file of an older version does not say it: it is of the newest if it was made since.

        Raises:
            RunError: it cannot be read.
        """
        if not (self.path / name).exists():
            return None
        with self.reading(name):
            said = marked_step(self.path / name)
        return self.step() if said is None and self._is_recent(name) else said

    def step(self) -> int | None:
        """The step of the newest checkpoint, whole or not; None without any."""
        kept = checkpoints.newest_first(self._checkpoints)
        return checkpoints.named_step(kept[0]) if kept else None

    def write_report(self, html: str) -> Path:
        """Write report.html."""
        return self._write(_REPORT, html.encode())

    def _is_recent(self, name: str) -> bool:
        """Whether a file was made since the newest checkpoint; a copy need not keep its time."""
        return (self.path / name).stat().st_mtime >= checkpoints.written(self._checkpoints)

    @property
    def _checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def _write(self, name: str, content: bytes) -> Path:
        atomic.write_file(self.path / name, content)
        return self.path / name
