"""Held-out likelihood: the NLL after a given time of training, and the time of its estimates."""

import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.results import Row
from benchmarks.trained_runs import Trained
from elboroom import PRESETS, VAE, Dataset, evaluate, infer, train
from elboroom.config import Precision
from elboroom.data import load_data
from elboroom.device import resolve_precision
from elboroom.randomness import stream

_REACH = {
    "mnist-1min": (88.0, 86.8),
    "mnist-5min": (85.0, 84.0),
    "mnist-20min": (83.8, 82.5),
    "mnist-conv-20min": (81.7, 81.3),
}
# Burda et al. (2016), table 1: one stochastic layer, dynamic binarisation, 3,280 epochs
_PUBLISHED = {"burda-vae": 86.76, "burda-iwae-5": 85.54, "burda-iwae-50": 84.78}
_SEEDS = 3
_K = 5_000
_ERROR = 0.02  # nats that a subset may add to the error over images
# Convolutions take a second for 5,000 samples of an image: only a random subset has them.
_IN_A_SUBSET = ("mnist-conv-20min",)


def measure(quick: bool) -> list[Row]:
    """Measure all rows, except runs whose evaluation benchmarks/results/likelihood holds."""
    rows = [row for preset in _REACH for row in _of_preset(preset, quick)]
    rows += [row for preset in _PUBLISHED for row in _beside_the_paper(preset, quick)]
    rows += _estimators(quick)
    return [replace(row, reach=None) for row in rows] if quick else rows


def _of_preset(preset: str, quick: bool) -> list[Row]:
    found = [_trained(preset, seed, quick) for seed in range(1 if quick else _SEEDS)]
    reach, aim = _REACH[preset]
    estimates = [run["estimates"]["iwae"] for run in found]
    return [
        Row(f"{preset}: NLL", [-e["mean"] for e in estimates], "nats per image", reach, aim),
        Row(
            f"{preset}: standard error of the NLL",
            [e["standard_error"] for e in estimates],
            "nats per image",
        ),
        Row(
            f"{preset}: change of the NLL by bfloat16",
            [_rounding(run) for run in found],
            "nats per image",
        ),
        Row(
            f"{preset}: ELBO",
            [run["estimates"]["elbo"]["mean"] for run in found],
            "nats per image",
        ),
        Row(
            f"{preset}: k̂ < 0.7",
            [100 * run["quality"]["reliable"]["mean"] for run in found],
            "% of images",
        ),
        _training(preset, found),
    ]


def _beside_the_paper(preset: str, quick: bool) -> list[Row]:
    found = _trained(preset, 0, quick)
    return [
        Row(f"{preset}: NLL", [-found["estimates"]["iwae"]["mean"]], "nats per image"),
        Row(f"{preset}: NLL in the paper", [_PUBLISHED[preset]], "nats per image"),
        _training(preset, [found]),
    ]


def _training(preset: str, found: list[dict[str, Any]]) -> Row:
    where = " or ".join(sorted({run["trained_on"] for run in found}))
    what = f"{preset}: training, the whole command, {where}"
    return Row(what, [run["training"] for run in found], "s")


def _rounding(run: dict[str, Any]) -> float:
    return run["rounding"]["mean"] if "rounding" in run else 0.0


def _trained(preset: str, seed: int, quick: bool) -> dict[str, Any]:
    """Train and evaluate; add the seconds that `elboroom train` took, and where."""
    k, k_all, precision = ("100", "10", "fp32") if quick else (str(_K), "50", "auto")
    subset = ["--k-all", k_all] if preset in _IN_A_SUBSET else ["--error", "0"]
    options = "--k", k, "--precision", precision, *subset
    return Trained("likelihood", preset, seed).evaluated(options, quick=quick)


def _estimators(quick: bool) -> list[Row]:
    """Time the estimators on the 200–200–50 net, after a few epochs, which do not change it."""
    config = PRESETS["mnist"]
    data = load_data(config.data)
    model = VAE.from_config(config.model, data.event_shape, generator=stream(0, "weights"))
    train(model, data, replace(config.train, epochs=1 if quick else 5))
    k, images, chains = (10, 4, 4) if quick else (_K, 100, 16)
    native = resolve_precision("auto", torch.device("cpu")) == torch.bfloat16
    precisions: list[Precision] = ["bf16", "fp32"] if native else ["fp32"]
    what = f"IWAE-{k:,} of 10,000 images to ± {_ERROR:g} nats beside their own error, 200–200–50"
    found = {n: evaluate(model, data, k=k, seed=0, precision=n, error=_ERROR) for n in precisions}
    return [
        *(Row(f"{what}, {name}", [of.seconds], "s", 40.0, 20.0) for name, of in found.items()),
        Row(
            f"AIS, 1,000 distributions × {chains} chains, {images} images, 200–200–50",
            [_annealing(model, data, images, chains)],
            "s",
            60.0,
        ),
    ]


def _annealing(model: VAE, data: Dataset, images: int, chains: int) -> float:
    clock = time.perf_counter()
    infer.ais(model, data.test.x[:images], generator=stream(0, "ais"), chains=chains)
    return time.perf_counter() - clock
