"""Posteriors of partly seen digits under a ladder: their distance from log p(x_seen), and time."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.results import Row
from benchmarks.trained_runs import elboroom
from elboroom import VAE, infer
from elboroom.data import load_data
from elboroom.infer.diagnostics import RELIABLE_K_HAT
from elboroom.infer.sir import widening_for_half_ess
from elboroom.model.bounds import elbo
from elboroom.randomness import stream, uniforms
from elboroom.runs import Run

_KEPT = Path("benchmarks/results/ladder")
_SHARES = (0.25, 0.5, 1.0)
_IMAGES, _PARTICLES, _EVIDENCE_PARTICLES, _STEPS, _DRAWS, _REPEATS = 25, 1_000, 2_000, 30, 64, 5
_WITH_MODES = 8  # images whose modes are sought, which takes some ten seconds each
_REACH_GAP, _REACH_RELIABLE = 2.0, 90.0
_REACH_SECONDS, _HOPED_SECONDS = 1.0, 0.3


def rows(name: str, run: Path, quick: bool) -> Iterator[Row]:
    """Train a partial encoder of a trained ladder, and compare it with others under random masks.

    What was measured once is kept in benchmarks/results/ladder, since the run itself is not.
    """
    file = name.replace(", ", "-").replace(" ", "-")
    kept = _KEPT / f"{file}-posteriors.json"
    if kept.exists() and not quick:
        yield from (Row(**row) for row in json.loads(kept.read_text()))
        return
    found = [replace(row, what=f"{name}, {row.what}") for row in _measured(run, quick)]
    if not quick:
        kept.write_text(json.dumps([vars(row) for row in found], indent=1) + "\n")
    yield from found


def _measured(run: Path, quick: bool) -> Iterator[Row]:
    elboroom("amortise", str(run), "--minutes", "0.2" if quick else "10")
    opened = Run(run)
    model, data = opened.load_model(), load_data(opened.config.data)
    images = 4 if quick else _IMAGES
    x = data.test.x[:images]
    for share in _SHARES:
        noise = stream(0, f"mask of {share}")
        mask = uniforms(x.shape, x, noise) < share
        where = f"{100 * share:g} % seen"
        yield from _of_masks(model, x, mask, where, quick)
        few = 2 if quick else _WITH_MODES
        yield from _of_modes(model, x[:few], mask[:few], f"{where}, {few} images", quick)
    yield from _time(model, x[:1], uniforms(x[:1].shape, x, stream(1, "mask")) < 0.5)


def _of_masks(model: VAE, x: Tensor, mask: Tensor, where: str, quick: bool) -> Iterator[Row]:
    many = 100 if quick else _EVIDENCE_PARTICLES
    each = zip(x.split(1), mask.split(1), strict=True)
    evidence = torch.cat([_evidence(model, *one, many) for one in each])
    few = 100 if quick else _PARTICLES
    sir = infer.sir(model, x, mask, generator=stream(0, "sir"), particles=few)
    bounds = {
        "encoder": infer.encoder(model, x, mask, generator=stream(0, "encoder")),
        "partial encoder": infer.partial_encoder(model, x, mask, generator=stream(0, "partial")),
        f"{_STEPS} steps of svi from it": infer.svi(
            model, x, mask, generator=stream(0, "svi"), start="encoder", max_steps=_STEPS
        ),
    }
    for name, fit in bounds.items():
        gap = (evidence - elbo(fit.log_weights(few))).mean().item()
        reach = _REACH_GAP if name == "partial encoder" else None
        yield Row(f"{where}: log p(x_seen) less the ELBO of {name}", [gap], "nats", reach)
    gap = (evidence - sir.log_evidence).mean().item()
    yield Row(f"{where}: log p(x_seen) less the bound of {few:,} particles from it", [gap], "nats")
    reliable = 100 * (sir.diagnostics["pareto_k"] < RELIABLE_K_HAT).double().mean().item()
    what = f"{where}: k̂ < 0.7 of {few:,} particles from the partial encoder"
    yield Row(what, [reliable], "% of images", _REACH_RELIABLE, at_least=True)


def _of_modes(model: VAE, x: Tensor, mask: Tensor, where: str, quick: bool) -> Iterator[Row]:
    """Compare the Gaussians at the modes, and particles from them, with particles from both."""
    few, many = (100, 100) if quick else (_PARTICLES, _EVIDENCE_PARTICLES)
    modes = infer.laplace(model, x, mask, generator=stream(0, "modes"), mixture=True)
    found = infer.sir(
        model,
        x,
        mask,
        generator=stream(0, "sir"),
        proposal=modes,
        particles=many,
        widen=widening_for_half_ess(modes.q),
    )
    each = zip(x.split(1), mask.split(1), strict=True)
    other = torch.cat([_evidence(model, *one, many) for one in each])
    # p̂ = ½ (p̂₁ + p̂₂) of two estimates without bias
    evidence = torch.logaddexp(found.log_evidence, other) - math.log(2)
    gap = (evidence - elbo(modes.log_weights(few))).mean().item()
    yield Row(f"{where}: log p(x_seen) less the ELBO of laplace", [gap], "nats")
    gap = (evidence - found.log_evidence).mean().item()
    yield Row(f"{where}: log p(x_seen) less the bound of {many:,} from laplace", [gap], "nats")
    reliable = 100 * (found.diagnostics["pareto_k"] < RELIABLE_K_HAT).double().mean().item()
    what = f"{where}: k̂ < 0.7 of {many:,} particles from laplace, widened"
    yield Row(what, [reliable], "% of images", _REACH_RELIABLE, at_least=True)


def _evidence(model: VAE, x: Tensor, mask: Tensor, particles: int) -> Tensor:
    """Estimate log p(x_seen) of an image by many particles from the partial encoder."""
    found = infer.sir(model, x, mask, generator=stream(1, "evidence"), particles=particles)
    return found.log_evidence


def _time(model: VAE, x: Tensor, mask: Tensor) -> Iterator[Row]:
    """Time draws of one image, from its mask on, after one call that does not count."""
    seconds = list[float]()
    for seed in range(_REPEATS + 1):
        clock = time.perf_counter()
        found = infer.sir(model, x, mask, generator=stream(seed, "sir"), particles=_PARTICLES)
        found.sample(_DRAWS)
        seconds.append(time.perf_counter() - clock)
    what = f"from a mask to {_DRAWS} draws of an image, {_PARTICLES:,} particles"
    yield Row(what, seconds[1:], "s", _REACH_SECONDS, _HOPED_SECONDS)
