"""One problem given to elboroom and to peers, in turn, each time in a process of its own."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import peers
from benchmarks.peers.problem import Laps, Layers, Problem, layers
from benchmarks.runners.elboroom_training import EVENT, layers_of, model_of
from elboroom import VAE, Dataset, ModelConfig, evaluate
from elboroom.config import Activation
from elboroom.randomness import stream

_EVALUATION_K = 20

Program = Callable[[Path, Path], None]
"""PROBLEM.npz and RESULT.npz → a process that trains."""


@dataclass(frozen=True)
class Setting:
    """A model and how it is trained; `images` is a multiple of `batch`."""

    hidden: tuple[int, ...]
    latents: int
    activation: Activation
    batch: int
    images: int
    epochs: int
    particles: int = 1

    @property
    def name(self) -> str:
        """The widths of the encoder, such as 784–400–20."""
        return "–".join(str(width) for width in (784, *self.hidden, self.latents))


@dataclass(frozen=True)
class Finish:
    """The result of one run of one program.

    Attributes:
        cold: seconds from the start of the process to the end of the first epoch.
        epochs: seconds of each epoch after the first.
        whole: seconds from the start of the process to the end of the last epoch.
        peak: largest resident memory, MiB.
        encoder: its weights at the end.
        decoder: the same.
        activation: between layers.
    """

    cold: float
    epochs: list[float]
    whole: float
    peak: float
    encoder: Layers
    decoder: Layers
    activation: str

    @property
    def steady(self) -> float:
        """The median epoch after the first, in seconds."""
        return statistics.median(self.epochs)

    @property
    def model(self) -> VAE:
        """The trained weights as a model of elboroom."""
        model = model_of(self.encoder, self.decoder, self.activation)
        return model.eval().requires_grad_(False)


def _elboroom(problem: Path, result: Path, *how: str) -> None:
    """Train by the library itself, as its user would call it."""
    command = [sys.executable, "-m", "benchmarks.runners.elboroom_training", problem, result, *how]
    subprocess.run(command, check=True)


def _compiled(problem: Path, result: Path) -> None:
    _elboroom(problem, result, "compiled")


def _eager(problem: Path, result: Path) -> None:
    _elboroom(problem, result, "eager")


def _pyro_jit(problem: Path, result: Path) -> None:
    peers.run("pyro_vae.py", problem, result, "jit")


COMPILED, EAGER = "elboroom, compiled", "elboroom, eager fp32"
PROGRAMS: dict[str, Program] = {
    "elboroom": _elboroom,
    COMPILED: _compiled,
    EAGER: _eager,
    "NumPyro": partial(peers.run, "numpyro_vae.py"),
    "flax": partial(peers.run, "flax_vae.py"),
    "Pyro": partial(peers.run, "pyro_vae.py"),
    "Pyro, jit": _pyro_jit,
    "pythae": partial(peers.run, "pythae_vae.py"),
    "plain PyTorch": partial(peers.run, "plain_vae.py"),
}


def side_by_side(
    setting: Setting, data: Dataset, programs: Sequence[str], repeats: int
) -> dict[str, list[Finish]]:
    """Run every program once, then again: each round has a seed of its own."""
    found: dict[str, list[Finish]] = {name: [] for name in programs}
    for seed in range(repeats):
        problem = problem_of(setting, data, seed)
        for name in programs:
            found[name].append(run(name, problem))
    return found


def problem_of(setting: Setting, data: Dataset, seed: int) -> Problem:
    """Return the first images of the train part with initial weights."""
    config = ModelConfig(
        latents=setting.latents, hidden=setting.hidden, activation=setting.activation
    )
    model = VAE.from_config(config, EVENT, generator=stream(seed, "weights"))
    return Problem(
        x=data.train.rows(list(range(setting.images))).x.flatten(1).to(torch.uint8).numpy(),
        encoder=layers_of(model.encoder),
        decoder=layers_of(model.decoder),
        activation=setting.activation,
        batch=setting.batch,
        epochs=setting.epochs,
        particles=setting.particles,
        seed=seed,
    )


def run(name: str, problem: Problem) -> Finish:
    """Run the program of that name for at least two epochs, and print a line about it."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "problem.npz", Path(folder) / "result.npz"
        problem.write(given)
        start = time.time()
        PROGRAMS[name](given, result)
        found = dict(np.load(result))
    laps = Laps(found["began"].tolist(), found["ended"].tolist())
    assert len(laps.began) == len(laps.ended) == problem.epochs
    seconds = [b - a for a, b in zip(laps.began, laps.ended, strict=True)]
    finish = Finish(
        cold=laps.ended[0] - start,
        epochs=seconds[1:],
        whole=laps.ended[-1] - start,
        peak=float(found["peak"]) / 1024,
        encoder=layers(found, "encoder"),
        decoder=layers(found, "decoder"),
        activation=problem.activation,
    )
    print(f"{name}: {problem.x.shape}, {finish.cold:.2f} s, then {finish.steady:.3f} s an epoch")
    return finish


def bounds_of(finish: Finish, data: Dataset) -> tuple[float, float]:
    """Evaluate ELBO and IWAE bound of the test part, nats per image, alike for all programs."""
    estimates = evaluate(finish.model, data, k=_EVALUATION_K, seed=0).estimates
    return estimates["elbo"].mean, estimates["iwae"].mean


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy by a process that ends with this block, or with this process."""
    code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait()
