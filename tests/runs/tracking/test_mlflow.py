"""MLflow's store, read back by its client."""

from pathlib import Path

import pytest

from elboroom import Config, DataConfig, ModelConfig, Run, train_run
from elboroom.data import load_data
from tests.support.tracked_runs import QUICK, in_file, stop_at

for library in ("mlflow", "sqlalchemy", "alembic"):
    pytest.importorskip(library)


@pytest.mark.full  # its first migration of a database takes some seconds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own, of SQLAlchemy
def test_the_store_has_each_epoch_once_the_options_and_the_figures(tmp_path: Path, digits: Path):
    from mlflow import MlflowClient

    data = DataConfig(source=str(digits), binarisation="threshold")
    config = Config(data=data, model=ModelConfig(hidden=(8, 4)), train=QUICK)
    run = Run.create(tmp_path / "run", config, load_data(config.data))
    train_run(run, track=["mlflow"], stop=stop_at(8))
    train_run(run, track=["mlflow"])
    client = MlflowClient(f"sqlite:///{run.path / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("elboroom")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert found.data.params["model.hidden"] == "8 4"
    points = client.get_metric_history(found.info.run_id, "elbo")
    assert [(p.step, p.value) for p in points] == [(s, row["elbo"]) for s, row in in_file(run)]
    files = client.list_artifacts(found.info.run_id, "figures")
    assert [f.path for f in files] == ["figures/curves-18.png", "figures/samples-18.png"]
