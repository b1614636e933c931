"""The results of a run: evaluation, figures and report, each with its provenance."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from elboroom.config.typed_tables import require_type
from elboroom.runs import atomic
from elboroom.runs.checkpoints import listing, manifest
from elboroom.runs.out_file import npz
from elboroom.runs.provenance import Provenance, read_provenance, recorded
from elboroom.runs.read_errors import read_errors
from elboroom.untrusted import parse_json, read_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVALUATION, PER_IMAGE, REPORT = "evaluation.json", "evaluation.npz", "report.html"
_HISTORY = "curves"  # the figure that shows more than one checkpoint
_LARGEST_EVALUATION = 1 << 22  # bytes


class Results:
    """The results of a run, as `Run.results` holds them.

    Args:
        run: folder of the run.
        checkpoints: folder of its checkpoints.
    """

    def __init__(self, run: Path, checkpoints: Path) -> None:
        self._run, self._checkpoints = run, checkpoints

    def write_evaluation(
        self, evaluation: dict[str, Any], rows: Mapping[str, np.ndarray | Tensor | str]
    ) -> Path:
        """Write evaluation.json, and evaluation.npz with the values of each row.

        Args:
            evaluation: begins with `provenance`.
            rows: (N,) values by name, and what names the rows in the source.
        """
        step, weights = evaluation["step"], evaluation["weights_step"]
        made_from = Provenance(step, evaluation["model"], self._newest_step(), weights)
        with recorded(self._run, [EVALUATION, PER_IMAGE], made_from):
            self._write(PER_IMAGE, npz(rows))
            return self._write(EVALUATION, atomic.as_json(evaluation).encode())

    def read_evaluation(self) -> dict[str, Any] | None:
        """Read evaluation.json; return None if there is none.

        Raises:
            RunError: if the file is not a JSON table.
        """
        path = self._run / EVALUATION
        if not path.exists():
            return None
        with read_errors(path):
            found = parse_json(read_bytes(path, _LARGEST_EVALUATION))
            require_type("evaluation", found, dict[str, Any])
            return found

    def write_figure(self, name: str, figure: "Figure", step: int) -> list[Path]:
        """Write figures/NAME.png and .svg of the model at a step.

        Their description repeats the provenance for people; programs read results.json.
        """
        atomic.make_folder(self._run / "figures")
        made_from, content = self.made_from(step), dict[str, bytes]()
        for kind in ("png", "svg"):
            buffer, metadata = BytesIO(), {"Description": made_from.description}
            figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
            content[f"figures/{name}.{kind}"] = buffer.getvalue()
        with recorded(self._run, list(content), made_from):
            return [self._write(file, content[file]) for file in content]

    def figures(self) -> dict[str, Path]:
        """Return the PNG of every figure drawn so far, by name."""
        return {path.stem: path for path in sorted((self._run / "figures").glob("*.png"))}

    def write_report(self, html: str, step: int) -> Path:
        """Write report.html of the model at a step."""
        with recorded(self._run, [REPORT], self.made_from(step)):
            return self._write(REPORT, html.encode())

    def provenance(self, step: int) -> dict[str, Any]:
        """Return the fields with which an evaluation of the model at a step begins."""
        weights_step = self.weights_step(step)
        return {"step": step, "model": self.weights_digits(step), "weights_step": weights_step}

    def step_name(self, step: int) -> str:
        """Name the model at a step for people, with the step of its weights if they are older."""
        weights_step = self.weights_step(step)
        kept = weights_step is not None and weights_step < step
        return f"step {step:,}" + (f" with the weights of step {weights_step:,}" if kept else "")

    def weights_step(self, step: int) -> int | None:
        """Return the step after which the weights at a step were as they are, None if unknown.

        It is an earlier one if training ended with its best weights.
        """
        path = listing.newest_at(self._checkpoints, step)
        return None if path is None else manifest.weights_step(path)

    def weights_digits(self, step: int) -> str | None:
        """Return the first 16 digits of the SHA-256 of the weights at a step, None if unknown."""
        path = listing.newest_at(self._checkpoints, step)
        return None if path is None else manifest.weights_digits(path)

    def recorded_step(self, name: str) -> int | None:
        """Return the step that the file `name` was made from, None if it is not recorded.

        Raises:
            RunError: if results.json cannot be read.
        """
        found = self._recorded(name)
        return None if found is None else found.step

    def matches(self, name: str, step: int | None) -> bool:
        """Check that the file `name` was made from the weights that the run has at a step.

        Raises:
            RunError: if results.json cannot be read.
        """
        found = self._recorded(name)
        if found is None or found.step != step:
            return False
        return found.model == self.weights_digits(found.step)

    def is_current(self, name: str, step: int) -> bool:
        """Check that the file `name` matches a step, and curves also the newest checkpoint.

        Curves show the whole history, which may go on after the step.

        Raises:
            RunError: if results.json cannot be read.
        """
        if Path(name).stem != _HISTORY:
            return self.matches(name, step)
        found = self._recorded(name)
        is_newest = found is not None and found.newest == self._newest_step()
        return is_newest and self.matches(name, step)

    def _recorded(self, name: str) -> Provenance | None:
        return read_provenance(self._run).get(name) if (self._run / name).exists() else None

    def made_from(self, step: int) -> Provenance:
        """Return the provenance of a result that is made now from the model at a step."""
        digits, weights = self.weights_digits(step), self.weights_step(step)
        return Provenance(step, digits, self._newest_step(), weights)

    def _newest_step(self) -> int | None:
        return listing.newest_step(self._checkpoints)

    def _write(self, name: str, content: bytes) -> Path:
        atomic.write_file(self._run / name, content)
        return self._run / name
