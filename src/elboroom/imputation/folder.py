"""The folder of a table's models: a run for each of them, their weights, and their checks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elboroom.config.typed_tables import read, require_type
from elboroom.data.tables.schema import Schema
from elboroom.errors import RunError
from elboroom.imputation.column_checks import ColumnCheck
from elboroom.imputation.ensemble import Ensemble
from elboroom.imputation.training import ensemble_of
from elboroom.runs import atomic
from elboroom.runs.config_file import CONFIG
from elboroom.runs.read_errors import read_errors
from elboroom.runs.run import Run
from elboroom.untrusted import parse_json, read_bytes

FILE = "ensemble.json"
_LARGEST = 16 << 20  # bytes
_MOST_MODELS = 100


@dataclass(frozen=True)
class Folder:
    """The models of one table.

    Attributes:
        path: the folder.
        runs: the run of each model that has a weight.
        ensemble: the models with their weights.
        checks: what withheld entries say of each column; empty if none were withheld.
    """

    path: Path
    runs: tuple[Run, ...]
    ensemble: Ensemble
    checks: tuple[ColumnCheck, ...] = ()

    @property
    def schema(self) -> Schema:
        """The columns of the table.

        Raises:
            RunError: if it was trained on rows without named columns.
        """
        found = self.runs[0].data.schema
        if found is None:
            raise RunError(
                f"{self.path} was not trained on a table of columns",
                why="it does not say what its columns are",
                fix="train it on a CSV, Excel or Parquet file: elboroom impute TABLE",
            )
        return found


def write_folder(
    path: Path, weights: Mapping[str, float], checks: Sequence[ColumnCheck], seed: int
) -> None:
    """Write the weights of the models, by the names of their runs in the folder, and the checks.

    Raises:
        DiskError: if they cannot be written.
    """
    content = {
        "weights": dict(weights),
        "columns": [asdict(check) for check in checks],
        "seed": seed,
    }
    atomic.write_file(path / FILE, atomic.as_json(content).encode())


def open_folder(path: Path, *, best: bool = False, trust: bool = False) -> Folder:
    """Open the models of a table: the folder of `elboroom impute`, or a run on a table.

    Args:
        path: the folder.
        best: take the best checkpoint of each run instead of the newest.
        trust: run the code that makes the networks of a run, if its config names code.

    Raises:
        RunError: if it is neither, or a file of it cannot be read.
        UsageError: if a model is not of the columns of a table.
    """
    if (path / CONFIG).exists() or not (path / FILE).exists():
        run = Run(path, trust=trust)
        return Folder(path, (run,), ensemble_of({"": (run.load_model(best=best), 1.0)}))
    with read_errors(path / FILE):
        content = parse_json(read_bytes(path / FILE, _LARGEST))
        require_type("ensemble", content, dict[str, Any])
        weights = _weights(content["weights"])
        checks = tuple(read(ColumnCheck, check) for check in content["columns"])
    runs = {name: Run(path / name, trust=trust) for name in weights}
    members = {n: (run.load_model(best=best), weights[n]) for n, run in runs.items()}
    return Folder(path, tuple(runs.values()), ensemble_of(members), checks)


def _weights(found: object) -> dict[str, float]:
    """Check the weights of a file that somebody else may have written.

    Raises:
        ValueError: if they are not positive numbers of sum 1 by the names of folders.
    """
    if not isinstance(found, dict) or not 0 < len(found) <= _MOST_MODELS:
        raise ValueError("its weights are not a table of models")
    for name, weight in found.items():
        is_weight = isinstance(weight, float | int) and 0 < weight <= 1
        if not (is_weight and isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"found the weight {weight!r} of {name!r}; expected one in (0, 1]")
    if abs(sum(found.values()) - 1) > 1e-6:
        raise ValueError(f"the weights have the sum {sum(found.values()):g}; expected 1")
    return {name: float(weight) for name, weight in found.items()}
