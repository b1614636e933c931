"""Small runs of each kind that the explorer opens."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from elboroom.explorer import ExploredRun
from elboroom.model.vae import VAE
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run

LADDER = {"latents": 3, "network": "ladder", "channels": (8,), "level_channels": (1,)}
CONV = {"latents": 2, "network": "conv", "channels": (8,)}
MODELS: dict[str, dict[str, Any]] = {
    "plane": {"latents": 2},
    "space": {"latents": 5},
    "ladder": LADDER,
    "conv": CONV,
    "colour": CONV | {"likelihood": "gaussian"},
}
"""The options of each model of pictures, by the name of its run."""
TYPES = """
income.type = "positive"
income.likelihood = "log-normal"
visits.type = "count"
"""


def two_shapes(path: Path) -> Path:
    """Write 200 pictures, 6 × 6, of bars and of squares, with their classes."""
    x, y = _shapes()
    flipped = np.random.default_rng(0).random(x.shape) < 0.05
    np.savez(path, x_train=np.where(flipped, 1 - x, x), y_train=y)
    return path


def two_coloured_shapes(path: Path) -> Path:
    """Write the same shapes in red and in blue, with noise, as bytes."""
    x, y = _shapes()
    colours = np.array([[220, 60, 40], [40, 90, 200]])
    noise = np.random.default_rng(0).normal(0, 12, (*x.shape, 3))
    pictures = x[..., None] * colours[y][:, None, None] + 16 + noise
    np.savez(path, x_train=pictures.clip(0, 255).astype(np.uint8), y_train=y)
    return path


def _shapes() -> tuple[np.ndarray, np.ndarray]:
    x, y = np.zeros((200, 6, 6), np.float32), np.arange(200) % 2
    x[y == 0, :, 2:4] = 1
    x[y == 1, 1:5, 1:5] = 1
    return x, y


def open_runs(folder: Path, *names: str) -> dict[str, ExploredRun]:
    """Make runs of MODELS in a folder, and open them."""
    grey = two_shapes(folder / "shapes.npz")
    sources = {"colour": two_coloured_shapes(folder / "colours.npz")} if "colour" in names else {}
    for name in names:
        brief_run(folder / name, sources.get(name, grey), **MODELS[name])
    found = {n: ExploredRun.open(n, Run(folder / n), best=False) for n in names}
    for one in found.values():
        enliven(one.model)
    return found


def open_tables(folder: Path) -> dict[str, ExploredRun]:
    """Make runs of a table, of vectors of numbers and of bits in a folder, and open them."""
    source, types = people(folder)
    brief_run(folder / "table", source, data={"columns": str(types)}, latents=2)
    rng = np.random.default_rng(1)
    np.save(folder / "real.npy", rng.normal(size=(200, 30)).astype(np.float32) * 3)
    np.save(folder / "bits.npy", (rng.random((200, 5)) < 0.4).astype(np.float32))
    brief_run(folder / "vectors", folder / "real.npy", latents=3)
    brief_run(folder / "bits", folder / "bits.npy", latents=2)
    names = ("table", "vectors", "bits")
    found = {name: ExploredRun.open(name, Run(folder / name), best=False) for name in names}
    for one in found.values():
        enliven(one.model)
        enliven(one.model)  # so that entries tell much of each other
    return found


def people(folder: Path) -> tuple[Path, Path]:
    """Write a table of six kinds of columns that go together, with gaps."""
    rng = np.random.default_rng(0)
    z, missing = rng.normal(size=300), rng.random((300, 6)) < 0.1
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 300), "D")
    frame = pd.DataFrame(
        {
            "age": (50 + 12 * z + rng.normal(0, 3, 300)).round(1),
            "income": (3e4 * np.exp(0.5 * z + rng.normal(0, 0.2, 300))).round(),
            "visits": rng.poisson(np.exp(0.5 + 0.5 * z)),
            "smoker": np.where(rng.random(300) < 0.3, "yes", "no"),
            "region": rng.choice(["north", "south", "west"], 300),
            "joined": days.strftime("%Y-%m-%d"),
        }
    )
    frame.astype(object).mask(missing).to_csv(folder / "people.csv", index=False)
    (folder / "types.toml").write_text(TYPES)
    return folder / "people.csv", folder / "types.toml"


@torch.no_grad()
def enliven(model: VAE) -> None:
    """Enlarge the first weights of a decoder, so that other z decode to other pictures."""
    for weights in model.decoder.parameters():
        weights.mul_(2)
