from pathlib import Path

import pytest

from elboroom import Run
from tests.support.hub_runs import MAKERS
from tests.support.small_run import small_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Make a run of each kind, which no test changes."""
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Copy a run with two checkpoints, an evaluation of the newest, and a figure."""
    return Run(small_run(tmp_path / "run"))
