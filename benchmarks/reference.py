"""The reference experiment: its test ELBO, its times, and SVI of partly observed images."""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import plain_pytorch
from benchmarks.results import Row
from elboroom import PRESETS, VAE, Config, DataConfig, Dataset, evaluate, half_mask, infer, train
from elboroom.data import load_data
from elboroom.randomness import stream

_REFERENCE = PRESETS["reference"]
_EVALUATION_K = 20
_SVI_IMAGES = 100


def measure(quick: bool) -> list[Row]:
    """Measure all rows; `quick` shortens training, and judges nothing that needs all of it."""
    epochs, repeats = (4, 1) if quick else (_REFERENCE.train.resolved_epochs, 3)
    data = load_data(_REFERENCE.data)
    x = data.train.x.flatten(1)
    _train(_REFERENCE, data, 1, 0)  # the first touch of everything is slower
    plain_pytorch.train(x, 1)
    models, ours, theirs = [], [], []
    for seed in range(repeats):
        model, seconds = _train(_REFERENCE, data, epochs, seed)
        models.append(model)
        ours.append(seconds)
        theirs.append(plain_pytorch.train(x, epochs))
    elbos = [_test_elbo(model, data) for model in models]
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    full = not quick
    rows = [
        Row(
            f"test ELBO, reference experiment, {epochs} epochs",
            elbos,
            "nats per image",
            -157.5 if full else None,
            at_least=True,
        ),
        Row(
            f"training time, reference experiment, {epochs} epochs",
            ours,
            "s",
            20.0 if full else None,
        ),
        Row(f"training time of a plain eager fp32 loop, {epochs} epochs", theirs, "s"),
        Row("times faster than the plain eager fp32 loop", ratios, "×", at_least=True),
        Row(
            f"`make demo` after the installation, {epochs} epochs",
            [_demo(epochs) for _ in range(repeats)],
            "s",
            60.0 if full else None,
        ),
        _large(2 if quick else 50, full),
    ]
    return rows + _svi(models[0], data)


def _train(config: Config, data: Dataset, epochs: int, seed: int) -> tuple[VAE, float]:
    model = VAE.from_config(config.model, data.event_shape, generator=stream(seed, "weights"))
    clock = time.perf_counter()
    train(model, data, replace(config.train, epochs=epochs, seed=seed))
    return model, time.perf_counter() - clock


def _test_elbo(model: VAE, data: Dataset) -> float:
    return evaluate(model, data, k=_EVALUATION_K, seed=0).estimates["elbo"].mean


def _large(epochs: int, full: bool) -> Row:
    data = load_data(DataConfig(split="standard"))
    model, _ = _train(_REFERENCE, data, epochs, 0)
    return Row(
        f"test ELBO, same net on 60,000/10,000, {epochs} epochs",
        [_test_elbo(model, data)],
        "nats per image",
        -146.5 if full else None,
        at_least=True,
    )


def _demo(epochs: int) -> float:
    """Run the two commands of `make demo`, each in a process of its own; return the seconds."""
    elboroom = [sys.executable, "-m", "elboroom"]
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "demo")
        clock = time.perf_counter()
        for command in (["train", "--epochs", str(epochs), "--out", run], ["report", run]):
            subprocess.run([*elboroom, *command], check=True, capture_output=True)
        return time.perf_counter() - clock


def _svi(model: VAE, data: Dataset) -> list[Row]:
    """Time one call for all images, and compare its ELBO with the best of a longer search."""
    x = data.test.rows(list(range(_SVI_IMAGES))).x
    mask = half_mask("top", data.event_shape)
    patient = infer.svi(model, x, mask, generator=stream(9, "svi"), starts=6, tolerance=1e-4)
    best = infer.exact_elbo(model, x, mask, patient.q)
    seconds, gaps = [], []
    for seed in range(3):
        clock = time.perf_counter()
        fit = infer.svi(model, x, mask, generator=stream(seed, "svi"))
        seconds.append(time.perf_counter() - clock)
        gaps.append(best - infer.exact_elbo(model, x, mask, fit.q))
    means, largest = [g.mean().item() for g in gaps], [g.max().item() for g in gaps]
    return [
        Row("SVI, 100 images × top half, one call", seconds, "s", 5.0),
        Row(
            "SVI, 100 images × top half: ELBO below the converged one, mean of 100 images",
            means,
            "nats per image",
            0.1,
        ),
        Row(
            "SVI, 100 images × top half: ELBO below the converged one, largest of 100 images",
            largest,
            "nats per image",
        ),
    ]
