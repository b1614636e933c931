"""An epoch of the networks for pictures, beside plain loops of PyTorch, flax and pythae."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.results import Row
from benchmarks.runners.pictures import EVENTS, count, describe, model_of

_EPOCHS, _REPEATS = 3, 3  # the first epoch of each run does not count
_FLOAT32 = "a plain loop in float32"


@dataclass(frozen=True)
class _Case:
    """The network of a preset, the number of pictures in an epoch and in a batch, and bounds."""

    preset: str
    pictures: int
    batch: int
    peers: tuple[str, ...]
    bounds: dict[str, tuple[float, float | None]]

    @property
    def name(self) -> str:
        channels, height, width = EVENTS[self.preset]
        return f"`{self.preset}`, an epoch of {self.pictures:,} of {height} × {width} × {channels}"


_CASES = (
    _Case("pictures", 1_024, 64, ("pythae",), {"pythae": (1.5, None), _FLOAT32: (1.5, 2.5)}),
    _Case("mnist-ladder-20min", 4_096, 128, (), {}),
)


def rows(quick: bool) -> Iterator[Row]:
    """Train each network, in turn with its peers."""
    for case in _CASES:
        yield from _of_case(case, quick)


def _of_case(case: _Case, quick: bool) -> Iterator[Row]:
    pictures, repeats = (2 * case.batch, 1) if quick else (case.pictures, _REPEATS)
    programs: dict[str, Callable[[Path, Path], None]] = {
        "elboroom": partial(_runner, "elboroom"),
        _FLOAT32: partial(_runner, "plain"),
        "a plain loop in float32, its loss compiled": partial(_runner, "compiled"),
        "flax": partial(peers.run, "flax_pictures.py"),
    }
    programs |= {name: partial(peers.run, f"{name}_convolutions.py") for name in case.peers}
    found: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(repeats):
            given = _written(Path(folder) / "pictures.npz", case, pictures, seed)
            for name, program in programs.items():
                program(given, Path(folder) / "result.npz")
                found[name].append(_seconds(Path(folder) / "result.npz"))
    for name, seconds in found.items():
        yield Row(f"{case.name}: {name}", seconds, "s")
    for name in [name for name in programs if name != "elboroom"]:
        ratios = [b / a for a, b in zip(found["elboroom"], found[name], strict=True)]
        reach, aim = case.bounds.get(name, (None, None))
        yield Row(f"{case.name}: {name} over elboroom", ratios, "×", reach, aim, at_least=True)


def _runner(how: str, given: Path, result: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.runners.pictures", how, given, result]
    subprocess.run(command, check=True)


def _seconds(result: Path) -> float:
    """Return the median epoch but for the first one, in seconds."""
    found = np.load(result)
    return statistics.median((found["ended"] - found["began"])[1:].tolist())


def _written(path: Path, case: _Case, pictures: int, seed: int) -> Path:
    np.savez(
        path,
        x=_smooth(pictures, EVENTS[case.preset], seed),
        preset=case.preset,
        network=describe(case.preset),
        multiplications=count(case.preset),
        latents=model_of(case.preset, 0).latents,
        batch=case.batch,
        epochs=_EPOCHS,
        seed=seed,
    )
    return path


def _smooth(pictures: int, event: tuple[int, int, int], seed: int) -> NDArray[np.uint8]:
    """Draw pictures of coarse squares and noise, uint8 (N, C, H, W)."""
    random, (channels, height, width) = np.random.default_rng(seed), event
    side = 8 if height % 8 == 0 else 7
    coarse = random.integers(0, 256, (pictures, channels, height // side, width // side))
    noise = random.integers(-12, 13, (pictures, *event))
    return (coarse.repeat(side, 2).repeat(side, 3) + noise).clip(0, 255).astype(np.uint8)
