"""A plane, a space and a ladder that are explored, and a client of their server."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from elboroom.explorer import ExploredRun
from elboroom.explorer.server.app import application
from tests.support.explored_runs import open_runs

PORT = 8642
ADDRESS = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="session")
def explored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExploredRun]:
    return open_runs(tmp_path_factory.mktemp("explored"), "plane", "space", "ladder")


@pytest.fixture(scope="session")
def client(explored: dict[str, ExploredRun]) -> Iterator[TestClient]:
    with TestClient(application(explored, PORT), ADDRESS) as found:
        yield found
