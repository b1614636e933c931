"""SVI of partly observed images on one decoder: elboroom and peers, to the same ELBO."""

import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import peers
from benchmarks.peers.problem import Problem
from benchmarks.results import Row
from benchmarks.runners.elboroom_training import EVENT, model_of
from elboroom.infer.target import Target
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.randomness import stream

_SEEN = 392  # pixels: the top half
_DRAWS = 500
_SAME_ELBO = 0.05  # nats
_RUNGS = ((300, 1), (1_000, 1), (3_000, 1), (3_000, 4))  # steps, particles
_PEERS = (("NumPyro, compiled before", "numpyro_svi.py"), ("Pyro", "pyro_svi.py"))
_BOUNDS = {"numpyro_svi.py": (1.1, 2.0)}
_NATS = "nats per image"


def rows(problem: Problem, repeats: int, quick: bool) -> list[Row]:
    """Fit by elboroom, then by each peer with more and more steps until its ELBO is as high.

    Args:
        problem: the images, and a trained encoder and decoder.
        repeats: fits by elboroom, each from a seed of its own.
        quick: whether peers make their first attempt only.
    """
    ours = [_fit(_elboroom, problem, seed) for seed in range(repeats)]
    seconds, elbos = map(list, zip(*ours, strict=True))
    what = f"(d) SVI of {len(problem.x):,} images, top half seen"
    found = [
        Row(f"{what}: elboroom", seconds, "s"),
        Row(f"{what}: elboroom, ELBO", elbos, _NATS, at_least=True),
    ]
    for peer, script in _PEERS:
        goal = statistics.median(elbos) - _SAME_ELBO
        rungs = _RUNGS[:1] if quick else _RUNGS
        found += _peer(f"{what}: {peer}", script, problem, goal, seconds, rungs)
    return found


def _peer(
    what: str,
    script: str,
    problem: Problem,
    goal: float,
    ours: list[float],
    rungs: tuple[tuple[int, int], ...],
) -> list[Row]:
    found: list[Row] = []
    seconds, elbo = 0.0, -math.inf
    for steps, particles in rungs:
        seconds, elbo = _fit(lambda *files: peers.run(script, *files), problem, steps, particles)
        name = f"{what}, {steps:,} steps × {particles}"
        found += [Row(name, [seconds], "s"), Row(f"{name}, ELBO", [elbo], _NATS, at_least=True)]
        if elbo >= goal:
            break
    reached = "to within" if elbo >= goal else "without coming within"
    times = f"{what}, seconds {reached} {_SAME_ELBO} nats of elboroom's ELBO, over elboroom's"
    reach, aim = _BOUNDS.get(script, (None, None))
    return [*found, Row(times, [seconds / s for s in ours], "×", reach, aim, at_least=True)]


def _elboroom(*arguments: object) -> None:
    command = [sys.executable, "-m", "benchmarks.runners.elboroom_svi", *map(str, arguments)]
    subprocess.run(command, check=True)


def _fit(program: Callable[..., None], problem: Problem, *arguments: int) -> tuple[float, float]:
    """Fit, and return the seconds and the mean ELBO, evaluated alike for all programs."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "problem.npz", Path(folder) / "result.npz"
        problem.write(given)
        program(given, result, _SEEN, *arguments)
        found = dict(np.load(result))
    mean, scale = (torch.tensor(found[name]) for name in ("mean", "scale"))
    return float(found["seconds"]), _elbo(problem, DiagonalGaussian(mean, scale.log()))


@torch.no_grad()
def _elbo(problem: Problem, q: DiagonalGaussian) -> float:
    model = model_of(problem.encoder, problem.decoder, problem.activation).eval()
    x = torch.from_numpy(problem.x).float().unflatten(1, EVENT)
    mask = (torch.arange(x[0].numel()) < _SEEN).view(EVENT)
    z, log_q = q.draw(_DRAWS, stream(0, "evaluator"))
    return (Target.of(model, x, mask).log_joint(z) - log_q).double().mean().item()
