"""Ladders: the NLL after a given time of training, and the posteriors of partly seen digits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import ladder_posteriors
from benchmarks.results import Row
from benchmarks.trained_runs import Trained

_AREA, _PER_IMAGE = "ladder", "nats per image"
_STATIC = Trained(
    _AREA, "mnist-ladder-20min", options=("--binarisation", "static"), suffix="-static"
)
_FEW = Trained(_AREA, "mnist-ladder-20min", epochs=8)
"""As many epochs as 20 minutes had on two cores without AVX-512."""
_LARGE = Trained(_AREA, "mnist-ladder-180min", options=("--minutes", "105"), suffix="-105-minutes")
"""The largest network, in less than two thirds of its time."""


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows: runs of some epochs, then those of some minutes, the shortest first.

    What benchmarks/results/ladder holds is not measured again, so that a call that was ended goes
    on where it was.
    """
    for row in _rows(quick):
        yield replace(row, reach=None) if quick else row


def _rows(quick: bool) -> Iterator[Row]:
    options = _options(quick)
    name = f"{_FEW.preset}, {_FEW.epochs} epochs"
    found = _FEW.evaluated(options, quick=quick)
    yield from _of_run(name, found)
    yield from ladder_posteriors.rows(name, Path(found["run"]), quick)
    yield from _of_run(f"{_STATIC.preset}, static", _STATIC.evaluated(options, quick=quick))
    name, bounds = f"{_LARGE.preset}, 105 minutes", _bounds()[_LARGE.preset]
    yield from _of_run(name, _LARGE.evaluated(options, quick=quick), *bounds)
    for preset, (reach, aim) in _bounds().items():
        found = Trained(_AREA, preset).evaluated(options, quick=quick)
        yield from _of_run(preset, found, reach, aim)


def _bounds() -> dict[str, tuple[float, float]]:
    """Return the bound to reach of each preset, and that to hope for, on this machine.

    Products in the tiles of AMX are several times as fast as those of AVX-512.
    """
    has_tiles = torch.cpu.get_capabilities().get("amx_bf16", False)
    found = {
        "mnist-ladder-20min": (81.0, 80.5),
        "mnist-ladder-60min": (79.9 if has_tiles else 80.2, 79.5),
        "mnist-ladder-180min": (79.3, 78.7),
    }
    return found | ({"mnist-ladder-gpu": (78.0, 77.3)} if torch.cuda.is_available() else {})


def _of_run(
    name: str, found: dict[str, Any], reach: float | None = None, aim: float | None = None
) -> Iterator[Row]:
    means = found["estimates"]
    yield Row(f"{name}: NLL", [-means["iwae"]["mean"]], _PER_IMAGE, reach, aim)
    error = means["iwae"]["standard_error"]
    yield Row(f"{name}: standard error of the NLL", [error], _PER_IMAGE)
    yield Row(f"{name}: ELBO", [means["elbo"]["mean"]], _PER_IMAGE)
    if "reliable" in found["quality"]:
        share = found["quality"]["reliable"]["mean"]
        yield Row(f"{name}: k̂ < 0.7", [100 * share], "% of images")
    yield from _annealed(name, found)
    for number, level in enumerate(found["latents"]["levels"], 1):
        sides = " × ".join(map(str, level["shape"]))
        what = f"{name}: KL of level {number}, {sides}, of which {level['active']} are active"
        yield Row(what, [level["kl"]["mean"]], _PER_IMAGE)
    on = found["trained_on"]
    yield Row(f"{name}: epochs, {on}", [found["epochs"]], "")
    if "training" in found:  # nothing else ran meanwhile
        yield Row(f"{name}: training, the whole command, {on}", [found["training"]], "s")


def _annealed(name: str, found: dict[str, Any]) -> Iterator[Row]:
    """Yield those checks of the bound that were made."""
    if ais := found.get("ais"):
        of = f"{ais['images']} images"
        difference = ais["estimates"]["difference"]["mean"]
        yield Row(f"{name}: log p(x) by AIS less the IWAE bound, {of}", [difference], _PER_IMAGE)
    if certificate := found.get("certificate"):
        of = f"{certificate['images']} images drawn from the model"
        gap = certificate["estimates"]["gap"]["mean"]
        yield Row(f"{name}: BDMC, upper less lower bound, {of}", [gap], _PER_IMAGE)


def _options(quick: bool) -> tuple[str, ...]:
    """Return the options of `elboroom evaluate`."""
    few = ("--k", "20", "--k-all", "10", "--ais", "2", "--certify", "2", "--distributions", "4")
    annealing = ("--ais", "100", "--certify", "50", "--distributions", "400", "--chains", "4")
    full = ("--k", "5000", "--k-all", "100", "--precision", "auto", *annealing)
    return (*few, "--chains", "2") if quick else full
