"""MLflow: a database and files in the run folder."""

import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.runs.atomic import make_folder
from elboroom.runs.tracking.tracker import Status, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXPERIMENT = "elboroom"
_STATUS: dict[Status, str] = {"done": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_MOST_PARAMS = 100  # in a batch


class MLflow:
    """The store RUN/mlflow, for `mlflow ui --backend-store-uri sqlite:///RUN/mlflow/mlflow.db`.

    Its database has one run, which a resumed training continues.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run.resolve() / "mlflow"
        self._client: Any = None
        self._id = ""

    def start(self, config: Mapping[str, Value], name: str) -> int:
        """Begin or continue the run, and return the last step that it has."""
        make_folder(self._folder)
        store = f"sqlite:///{self._folder / 'mlflow.db'}"
        self._client = import_module("mlflow").MlflowClient(tracking_uri=store)
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        runs = [] if experiment is None else self._client.search_runs([experiment.experiment_id])
        if not runs:
            self._id = self._new_run(config, name)
            return 0
        self._id = runs[0].info.run_id
        self._client.set_terminated(self._id, "RUNNING")
        known = self._client.get_metric_history(self._id, "epoch")
        return max((metric.step for metric in known), default=0)

    def _new_run(self, config: Mapping[str, Value], name: str) -> str:
        files = (self._folder / "artifacts").as_uri()
        experiment = self._client.create_experiment(_EXPERIMENT, artifact_location=files)
        found = self._client.create_run(experiment, run_name=name).info.run_id
        entities = import_module("mlflow.entities")
        params = [entities.Param(option, str(value)) for option, value in config.items()]
        for first in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(found, params=params[first : first + _MOST_PARAMS])
        return found

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log an epoch in one batch."""
        entities, now = import_module("mlflow.entities"), int(1_000 * time.time())
        points = [entities.Metric(name, y, now, step) for name, y in metrics.items()]
        self._client.log_batch(self._id, metrics=points)

    def figure(self, name: str, figure: "Figure", step: int) -> None:
        """Store a figure as PNG, with its step in its name."""
        self._client.log_figure(self._id, figure, f"figures/{name}-{step}.png")

    def finish(self, status: Status) -> None:
        """End the run with its status."""
        self._client.set_terminated(self._id, _STATUS[status])
