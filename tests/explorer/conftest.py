"""A plane, a space and a ladder that are explored, and a client of their server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from elboroom.explorer import ExploredRun
from elboroom.explorer.server.app import application
from elboroom.model.vae import VAE
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run

PORT = 8642
ADDRESS = f"http://127.0.0.1:{PORT}"


def two_shapes(path: Path) -> Path:
    """Write 200 pictures, 6 × 6, of bars and of squares, with their classes."""
    rng, x = np.random.default_rng(0), np.zeros((200, 6, 6), np.float32)
    y = np.arange(200) % 2
    x[y == 0, :, 2:4] = 1
    x[y == 1, 1:5, 1:5] = 1
    flipped = rng.random(x.shape) < 0.05
    np.savez(path, x_train=np.where(flipped, 1 - x, x), y_train=y)
    return path


@pytest.fixture(scope="session")
def explored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExploredRun]:
    folder = tmp_path_factory.mktemp("explored")
    source = two_shapes(folder / "shapes.npz")
    brief_run(folder / "plane", source, latents=2)
    brief_run(folder / "space", source, latents=5)
    brief_run(folder / "ladder", source, latents=3, network="ladder", channels=(8,))
    runs = {name: Run(folder / name) for name in ("plane", "space", "ladder")}
    found = {name: ExploredRun.open(name, run, best=False) for name, run in runs.items()}
    for one in found.values():
        enliven(one.model)
    return found


@torch.no_grad()
def enliven(model: VAE) -> None:
    """Enlarge the first weights of a decoder, so that other z decode to other pictures."""
    for weights in model.decoder.parameters():
        weights.mul_(2)


@pytest.fixture(scope="session")
def client(explored: dict[str, ExploredRun]) -> Iterator[TestClient]:
    with TestClient(application(explored, PORT), ADDRESS) as found:
        yield found
