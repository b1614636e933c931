"""An epoch of the default network for pictures, beside pythae and a plain loop of PyTorch."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.results import Row
from benchmarks.runners.convolutions import EVENT, LATENTS, count

_PICTURES, _QUICK_PICTURES, _BATCH = 1_024, 128, 64
_EPOCHS, _REPEATS = 3, 3  # the first epoch of each run does not count
_REACH = {"pythae": (1.5, None), "a plain loop in float32": (1.3, 2.5)}


def rows(quick: bool) -> Iterator[Row]:
    """Train on pictures of 64 × 64 × 3, in turn."""
    pictures, repeats = (_QUICK_PICTURES, 1) if quick else (_PICTURES, _REPEATS)
    programs: dict[str, Callable[[Path, Path], None]] = {
        "elboroom": partial(_runner, "elboroom"),
        "pythae": partial(peers.run, "pythae_convolutions.py"),
        "a plain loop in float32": partial(_runner, "plain"),
    }
    found: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(repeats):
            given = _written(Path(folder) / "pictures.npz", pictures, seed)
            for name, program in programs.items():
                program(given, Path(folder) / "result.npz")
                found[name].append(_seconds(Path(folder) / "result.npz"))
    what = f"an epoch of {pictures:,} pictures of 64 × 64 × 3"
    for name, seconds in found.items():
        yield Row(f"{what}: {name}", seconds, "s")
    for name, (reach, aim) in _REACH.items():
        ratios = [b / a for a, b in zip(found["elboroom"], found[name], strict=True)]
        yield Row(f"{what}: {name} over elboroom", ratios, "×", reach, aim, at_least=True)


def _runner(how: str, given: Path, result: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.runners.convolutions", how, given, result]
    subprocess.run(command, check=True)


def _seconds(result: Path) -> float:
    """Return the median epoch but for the first one, in seconds."""
    found = np.load(result)
    return statistics.median((found["ended"] - found["began"])[1:].tolist())


def _written(path: Path, pictures: int, seed: int) -> Path:
    np.savez(
        path,
        x=_smooth(pictures, seed),
        multiplications=count(),
        batch=_BATCH,
        epochs=_EPOCHS,
        seed=seed,
        latents=LATENTS,
    )
    return path


def _smooth(pictures: int, seed: int) -> NDArray[np.uint8]:
    """Draw pictures of coarse squares and noise, uint8 (N, 3, 64, 64)."""
    random, (channels, height, width) = np.random.default_rng(seed), EVENT
    coarse = random.integers(0, 256, (pictures, channels, height // 8, width // 8))
    noise = random.integers(-12, 13, (pictures, *EVENT))
    return (coarse.repeat(8, 2).repeat(8, 3) + noise).clip(0, 255).astype(np.uint8)
