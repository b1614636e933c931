"""`elboroom evaluate`: the held-out likelihood of a run, and how far it can be trusted."""

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from elboroom.cli.tables import fine
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import EvaluateConfig
from elboroom.data import Dataset
from elboroom.device import keep_freed_memory, resolve_device
from elboroom.errors import UsageError
from elboroom.evaluation.bidirectional import certify
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.likelihood import Evaluation, label
from elboroom.evaluation.likelihood import evaluate as evaluate_model
from elboroom.infer.ais import ais
from elboroom.infer.diagnostics import RELIABLE_K_HAT
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic
from elboroom.runs.run import Run

_ANNEALED_TOGETHER = 50


def evaluate(
    path: Path,
    config: EvaluateConfig,
    *,
    best: bool,
    compare: tuple[Path, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Evaluate a run, store what was found, and print it beside the differences from others."""
    run, others = Run(path), [Run(other) for other in compare]
    for other in others:
        run.identity.require_same(other.identity)
    _require_images(run, config.ais)
    model, step = run.load_model_and_step(best=best)
    theirs = {str(other.path): (other, *other.load_model_and_step(best=best)) for other in others}
    data = run.load_data()
    ours = evaluated(model, data, config, quiet=quiet)
    content = (
        run.results.provenance(step)
        | ours.to_dict()
        | _beyond(model, data, ours, config, quiet=quiet)
    )
    run.results.write_evaluation(content, ours.per_image)
    steps = {name: step for name, (_, _, step) in theirs.items()}
    differences = {
        name: ours.minus(evaluated(model, other.load_data(), config, quiet=quiet))
        for name, (other, model, _) in theirs.items()
    }
    console = plain_console()
    if as_json:
        console.print(atomic.as_json(content | _tables(differences, steps)))
        return
    console.print(_table(f"{path}, step {step:,}", ours, differences, steps))
    console.print("\n".join([*_trust(ours), *_annealed_lines(content), *_certified_lines(content)]))


def evaluated(model: VAE, data: Dataset, config: EvaluateConfig, *, quiet: bool) -> Evaluation:
    """The evaluation of a model by importance sampling; the model is moved to the device."""
    keep_freed_memory()
    model.to(resolve_device("auto"))
    with counting(len(data.test), quiet=quiet) as done:
        asked = {"k": config.k, "seed": config.seed, "precision": config.precision}
        return evaluate_model(model, data, **asked, on_images=done)


def _beyond(
    model: VAE, data: Dataset, found: Evaluation, config: EvaluateConfig, *, quiet: bool
) -> dict[str, Any]:
    """What is asked for beyond importance sampling."""
    content: dict[str, Any] = {}
    if config.ais:
        content["ais"] = _annealed(model, data, found, config, quiet=quiet)
    if config.certify:
        content["certificate"] = _certified(model, config)
    return content


def _annealed(
    model: VAE, data: Dataset, found: Evaluation, config: EvaluateConfig, *, quiet: bool
) -> dict[str, Any]:
    """Annealed importance sampling of the first test images, beside the bound of the same."""
    clock, test = time.perf_counter(), data.test
    device, parts = next(model.parameters()).device, []
    with counting(config.ais, quiet=quiet) as done:
        for rows in torch.arange(config.ais).split(_ANNEALED_TOGETHER):
            x = test.rows(rows.tolist()).x.to(device)
            noise = stream(config.seed, "ais", int(rows[0]), device=device)
            posterior = ais(
                model,
                x,
                test.seen(x),
                generator=noise,
                distributions=config.distributions,
                chains=config.chains,
                schedule=config.schedule,
            )
            parts.append(posterior.log_evidence.cpu())
            done(len(rows))
    log_evidence, iwae = torch.cat(parts), found.per_image["iwae"][: config.ais]
    estimates = {"log_evidence": log_evidence, "iwae": iwae, "difference": log_evidence - iwae}
    return {"images": config.ais, **_schedule(config, clock), **_means(estimates)}


def _certified(model: VAE, config: EvaluateConfig) -> dict[str, Any]:
    """Bounds from both sides on data of the model's own."""
    clock = time.perf_counter()
    noise = stream(config.seed, "certify", device=next(model.parameters()).device)
    found = certify(
        model,
        rows=config.certify,
        generator=noise,
        distributions=config.distributions,
        chains=config.chains,
        schedule=config.schedule,
    )
    estimates = {"lower": found.lower, "upper": found.upper, "gap": found.gap}
    return {"images": config.certify, **_schedule(config, clock), **_means(estimates)}


def _schedule(config: EvaluateConfig, clock: float) -> dict[str, Any]:
    return {
        "distributions": config.distributions,
        "chains": config.chains,
        "schedule": config.schedule,
        "seconds": round(time.perf_counter() - clock, 3),
    }


def _means(values: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {"estimates": {name: asdict(Estimate.of(v)) for name, v in values.items()}}


def _tables(differences: dict[str, dict[str, Estimate]], steps: dict[str, int]) -> dict[str, Any]:
    tables = {
        name: {quantity: asdict(e) for quantity, e in table.items()}
        for name, table in differences.items()
    }
    return {"differences": tables, "steps": steps} if tables else {}


def _table(
    heading: str,
    ours: Evaluation,
    differences: dict[str, dict[str, Estimate]],
    steps: dict[str, int],
) -> Table:
    table = Table(
        title=ours.title, title_justify="left", caption=f"{ours.unit}, ± one standard error"
    )
    table.add_column("quantity")
    table.add_column(heading, justify="right")
    for other, step in steps.items():
        table.add_column(f"− {other}, step {step:,}", justify="right")
    for name, estimate in ours.estimates.items():
        cells = [str(difference[name]) for difference in differences.values()]
        table.add_row(label(name, ours.k, ours.kl_sampled), str(estimate), *cells)
    return table


def _trust(found: Evaluation) -> list[str]:
    """What the weights are worth, and what the latents hold."""
    quality, held = found.quality, found.information
    worth = f"{quality['ess'].mean:,.1f} effective samples of {found.k:,}"
    if "reliable" in quality:
        worth += f"; k̂ < {RELIABLE_K_HAT} for {quality['reliable'].mean:.1%} of the images"
    most = math.log(len(held.mutual))
    latents = (
        f"{int(held.active.sum())} of {len(held.active)} latents active; "
        f"mutual information {Estimate.of(held.mutual)} nats, of at most {most:.2f}"
    )
    bits = (
        [] if found.bits is None else [f"{fine(found.bits)} bits per dimension, by the IWAE bound"]
    )
    return [*bits, worth, latents]


def _annealed_lines(content: dict[str, Any]) -> list[str]:
    if "ais" not in content:
        return []
    found, means = content["ais"], _read(content["ais"])
    return [
        f"AIS, {_moves(found)}, first {found['images']:,} images: {means['log_evidence']}",
        f"the IWAE bound of the same: {means['iwae']}; AIS − IWAE {fine(means['difference'])}",
    ]


def _certified_lines(content: dict[str, Any]) -> list[str]:
    if "certificate" not in content:
        return []
    found, means = content["certificate"], _read(content["certificate"])
    return [
        f"BDMC, {_moves(found)}, {found['images']:,} images of the model's own: "
        f"{means['lower']} ≤ log p(x) ≤ {means['upper']}; AIS is short by at most "
        f"{fine(means['gap'])}"
    ]


def _moves(found: dict[str, Any]) -> str:
    return f"{found['distributions']:,} distributions × {found['chains']} chains"


def _read(found: dict[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate.read(values) for name, values in found["estimates"].items()}


def _require_images(run: Run, images: int) -> None:
    count = run.identity.test_images
    if images > count:
        raise UsageError(
            f"--ais {images} is more than the test part has",
            why=f"the test part has {count:,} images",
            fix="ask for fewer",
        )
