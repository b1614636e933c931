"""`elboroom evaluate`: the held-out likelihood of a run, and how far it can be trusted."""

import time
from pathlib import Path
from typing import Any

from elboroom.cli import tables
from elboroom.cli.selection import require_rows_in
from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import EvaluateConfig, PartName
from elboroom.data import Dataset
from elboroom.device import keep_freed_memory, resolve_device, world
from elboroom.evaluation.annealed_likelihood import annealed_likelihood
from elboroom.evaluation.bidirectional import Certificate, certify
from elboroom.evaluation.estimate import Estimate, as_tables
from elboroom.evaluation.likelihood import Evaluation
from elboroom.evaluation.likelihood import evaluate as evaluate_model
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic, out_file
from elboroom.runs.chosen_part import ChosenPart, row_arrays
from elboroom.runs.results import EVALUATION
from elboroom.runs.run import Run

_CERTIFIED_AT_A_TIME = 50


def evaluate(
    run: Run,
    config: EvaluateConfig,
    *,
    best: bool,
    compare: tuple[Run, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Evaluate a run, store the result, and print it with the differences from other runs.

    Several processes share the rows; the first one stores and prints.

    Only an evaluation of the run's own test part is stored in the run.
    """
    if config.out is not None:
        out_file.require_absent(config.out)
    for other in compare:
        run.identity.require_same(other.identity)
    model, step = load_shared_model(run, best=best)
    loaded = [(other, *load_shared_model(other, best=best)) for other in compare]
    chosen = run.choose_part(config.part, config.data)
    require_rows_in(chosen, "--ais", config.ais)
    data, part = chosen.data, chosen.name
    evaluation = evaluate_with_progress(model, data, config, part=part, quiet=quiet)
    content = run.results.provenance(step) | evaluation.to_dict()
    if config.ais:
        content["ais"] = _anneal(model, data, evaluation, config, quiet=quiet)
    if config.certify:
        content["certificate"] = _certify(model, config)
    steps = {str(other.path): its_step for other, _, its_step in loaded}
    differences = {
        str(other.path): evaluation.minus(
            evaluate_with_progress(its_model, data, config, part=part, quiet=quiet)
        )
        for other, its_model, _ in loaded
    }
    if not world().is_first:
        return
    rows = {name: values.numpy() for name, values in evaluation.per_image.items()}
    rows |= row_arrays(chosen.rows)
    if chosen.is_own_test_part:
        run.results.write_evaluation(content, rows)
    printed = content | _differences(differences, steps)
    if config.out is not None:
        out_file.write_arrays(config.out, rows | {"summary": atomic.as_json(printed)})
    console = plain_console()
    if as_json:
        console.print(atomic.as_json(printed))
        return
    heading = f"{run.path}, {run.results.step_name(step)}"
    others = {
        f"{other.path}, {other.results.step_name(its_step)}": differences[str(other.path)]
        for other, _, its_step in loaded
    }
    console.print(tables.evaluation(heading, evaluation, others))
    console.print(
        "\n".join([*tables.reliability(evaluation), *tables.annealing(content, evaluation.noun)])
    )
    console.print(_kept_in(run, chosen, config.out))


def _kept_in(run: Run, chosen: ChosenPart, out: Path | None) -> str:
    """Report where an evaluation is kept."""
    kept = [str(run.path / EVALUATION)] if chosen.is_own_test_part else []
    kept += [] if out is None else [str(out)]
    return " and ".join(kept) or "not kept: --out FILE.npz keeps the evaluation of this part"


def evaluate_with_progress(
    model: VAE, data: Dataset, config: EvaluateConfig, *, quiet: bool, part: PartName = "test"
) -> Evaluation:
    """Move a model to the device, and evaluate it by importance sampling under a progress bar."""
    keep_freed_memory()
    model.to(resolve_device("auto"))
    options = {"k": config.k, "seed": config.seed, "precision": config.precision, "part": part}
    own = len(data.part(part)) / world().size
    with counting(own, data.nouns, quiet=quiet) as advance:
        return evaluate_model(model, data, **options, on_images=advance)


def _anneal(
    model: VAE, data: Dataset, evaluation: Evaluation, config: EvaluateConfig, *, quiet: bool
) -> dict[str, Any]:
    """Estimate log p(x) of the first rows by annealed importance sampling."""
    clock = time.perf_counter()
    with counting(config.ais / world().size, data.nouns, quiet=quiet) as advance:
        found = annealed_likelihood(
            model,
            data,
            evaluation,
            images=config.ais,
            seed=config.seed,
            distributions=config.distributions,
            chains=config.chains,
            schedule=config.schedule,
            on_images=advance,
        )
    return _as_dict(found.estimates, config.ais, config, time.perf_counter() - clock)


def _certify(model: VAE, config: EvaluateConfig) -> dict[str, Any]:
    """Bound log p(x) from both sides on rows that the model draws."""
    clock, device, parts = time.perf_counter(), next(model.parameters()).device, []
    starts = range(0, config.certify, _CERTIFIED_AT_A_TIME)
    for number in world().own(range(len(starts))):
        found = certify(
            model,
            rows=min(_CERTIFIED_AT_A_TIME, config.certify - starts[number]),
            generator=stream(config.seed, "certify", number, device=device),
            distributions=config.distributions,
            chains=config.chains,
            schedule=config.schedule,
        )
        parts.append(vars(found))
    found = Certificate.join(world().spread(parts))
    return _as_dict(found.estimates, config.certify, config, time.perf_counter() - clock)


def _as_dict(
    estimates: dict[str, Estimate], images: int, config: EvaluateConfig, seconds: float
) -> dict[str, Any]:
    return {
        "images": images,
        "distributions": config.distributions,
        "chains": config.chains,
        "schedule": config.schedule,
        "seconds": round(seconds, 3),
        "estimates": as_tables(estimates),
    }


def _differences(
    differences: dict[str, dict[str, Estimate]], steps: dict[str, int]
) -> dict[str, Any]:
    if not differences:
        return {}
    found = {name: as_tables(estimates) for name, estimates in differences.items()}
    return {"differences": found, "steps": steps}
