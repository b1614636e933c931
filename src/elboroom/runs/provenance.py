"""results.json: the step and the weights that each result of a run was made from."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elboroom.config.typed_tables import read, require_type
from elboroom.errors import RunError
from elboroom.runs.atomic import as_json, write_file
from elboroom.runs.read_errors import read_errors
from elboroom.untrusted import parse_json, read_bytes

RESULTS = "results.json"
_LARGEST = 1 << 20  # bytes


@dataclass(frozen=True)
class Provenance:
    """The model that a result was made from.

    Attributes:
        step: step of the model.
        model: first 16 digits of the SHA-256 of its weights; None if no manifest records it.
            A run that was rolled back reaches a step again, with other weights.
        newest: step of the newest checkpoint when the result was made.
        weights_step: step after which the weights were as they are, which is earlier if training
            ended with its best weights; None if no manifest records it.
    """

    step: int
    model: str | None
    newest: int | None
    weights_step: int | None = None

    @property
    def description(self) -> str:
        """A sentence for people, which figures and reports carry."""
        model = f", model {self.model}" if self.model else ""
        kept = self.weights_step is not None and self.weights_step < self.step
        weights = f", weights of step {self.weights_step}" if kept else ""
        return f"elboroom, step {self.step} of the run{weights}{model}"


def read_provenance(run: Path) -> dict[str, Provenance]:
    """Read the provenance of each result of a run, by the name of its file.

    Raises:
        RunError: if results.json cannot be read.
    """
    path = run / RESULTS
    if not path.exists():
        return {}
    with read_errors(path):
        found = parse_json(read_bytes(path, _LARGEST))
        require_type("results", found, dict[str, Any])
        return {name: read(Provenance, entry) for name, entry in found.items()}


@contextmanager
def recorded(run: Path, names: list[str], provenance: Provenance) -> Iterator[None]:
    """Record the provenance of the files that this block writes.

    A different provenance recorded before is deleted first. If the block is cut short, its files
    are of unknown provenance, and never of a wrong one.

    Raises:
        DiskError: if results.json cannot be written.
    """
    entries = _readable_entries(run)
    others = {name: entry for name, entry in entries.items() if name not in names}
    if any(entries.get(name, provenance) != provenance for name in names):
        _write(run, others)
    yield
    _write(run, others | dict.fromkeys(names, provenance))


def _readable_entries(run: Path) -> dict[str, Provenance]:
    """Return the recorded entries; none if the file is damaged, so that it is written again."""
    try:
        return read_provenance(run)
    except RunError:
        return {}


def _write(run: Path, entries: dict[str, Provenance]) -> None:
    content = {name: asdict(entry) for name, entry in sorted(entries.items())}
    write_file(run / RESULTS, as_json(content).encode())
