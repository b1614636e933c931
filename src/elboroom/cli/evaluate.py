"""`elboroom evaluate`: the held-out likelihood of a run, and how far it can be trusted."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial as given
from typing import Any

from elboroom.cli import tables
from elboroom.cli.selection import require_rows_in
from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.signals import Interrupted, Stop, ended_by_signals, interruptible
from elboroom.cli.terminal import counting, counting_stages, plain_console
from elboroom.config import EvaluateConfig, PartName
from elboroom.data import Dataset
from elboroom.device import keep_freed_memory, resolve_device, world
from elboroom.errors import EvaluationError
from elboroom.evaluation.annealed_likelihood import annealed_likelihood
from elboroom.evaluation.bidirectional import Certificate, certify
from elboroom.evaluation.estimate import Estimate, as_tables
from elboroom.evaluation.evaluation import Evaluation
from elboroom.evaluation.likelihood import evaluate as evaluate_model
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic, out_file
from elboroom.runs.chosen_part import ChosenPart, row_arrays
from elboroom.runs.results import EVALUATION
from elboroom.runs.run import Run

_CERTIFIED_AT_A_TIME = 50


@dataclass(frozen=True)
class _Other:
    """Another run to compare with, and its model at a step.

    Attributes:
        run: the run.
        model: its model.
        step: the step of the model.
        differences: the mean differences from it; filled in once it is evaluated.
    """

    run: Run
    model: VAE
    step: int
    differences: dict[str, Estimate]

    @property
    def heading(self) -> str:
        """The heading of the differences from this run."""
        return f"{self.run.path}, {self.run.results.step_name(self.step)}"


def evaluate(
    run: Run,
    config: EvaluateConfig,
    *,
    best: bool,
    compare: tuple[Run, ...],
    quiet: bool,
    as_json: bool,
) -> int:
    """Evaluate a run, store the result, and print it with the differences from other runs.

    Several processes share the rows; the first one stores and prints.

    Only an evaluation of the run's own test part is stored in the run.

    Returns:
        The exit code: 0 if all is finished, else 128 + the number of the signal that stopped it, or
        1 if that came to another process. What is finished is stored and printed.

    Raises:
        Interrupted: if a signal comes before anything is known, or Ctrl-C is pressed a second time.
    """
    if config.out is not None:
        out_file.require_absent(config.out)
    for other in compare:
        run.identity.require_same(other.identity)
    model, step = load_shared_model(run, best=best)
    others = [_Other(other, *load_shared_model(other, best=best), {}) for other in compare]
    chosen = run.choose_part(config.part, config.data)
    require_rows_in(chosen, "--ais", config.ais)
    with interruptible() as stop:
        found = _evaluate(model, chosen, config, stop, quiet=quiet)
        content = run.results.provenance(step) | found.to_dict()
        stopped = found.partial is not None or world().any(stop.number is not None)
        missing = _supplements(model, chosen, config, found, content, others, quiet=quiet)
        code = stop.exit_code or int(stopped)
        if not stopped:
            code = _supplement(missing)
        if world().is_first:
            kept = _keep(run, chosen, config, found, content, others)
            _print(run.results.step_name(step), run, found, content, others, as_json=as_json)
            if not as_json:
                plain_console().print(kept)
            _print_missing(list(missing))
        return code


def _evaluate(
    model: VAE, chosen: ChosenPart, config: EvaluateConfig, stop: Stop, *, quiet: bool
) -> Evaluation:
    """Evaluate a model on a part until a signal.

    Raises:
        Interrupted: if the signal comes before anything is known.
    """
    try:
        return evaluate_with_progress(
            model, chosen.data, config, part=chosen.name, quiet=quiet, stop=stop
        )
    except EvaluationError as error:
        if stop.number is None:
            raise
        raise Interrupted(stop.number, f"{error.what}: {error.why}") from error


def evaluate_with_progress(
    model: VAE,
    data: Dataset,
    config: EvaluateConfig,
    *,
    quiet: bool,
    part: PartName = "test",
    stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Move a model to the device, and evaluate it by importance sampling under a progress bar."""
    keep_freed_memory()
    model.to(resolve_device("auto"))
    with counting_stages(data.nouns, quiet=quiet) as (begin, advance):
        return evaluate_model(
            model,
            data,
            k=config.k,
            seed=config.seed,
            part=part,
            precision=config.precision,
            error=config.resolved_error,
            k_all=config.k_all,
            on_images=advance,
            on_stage=begin,
            stop=stop,
        )


def _supplements(
    model: VAE,
    chosen: ChosenPart,
    config: EvaluateConfig,
    found: Evaluation,
    content: dict[str, Any],
    others: list[_Other],
    *,
    quiet: bool,
) -> dict[str, Callable[[], None]]:
    """Return what else was asked for by its option: functions that add it where it belongs."""
    asked = dict[str, Callable[[], None]]()
    if config.ais:
        data = chosen.data
        anneal = given(_anneal, model, data, found, config, quiet=quiet)
        asked["--ais"] = lambda: content.update(ais=anneal())
    if config.certify:
        asked["--certify"] = lambda: content.update(certificate=_certify(model, config))
    for other in others:
        evaluated = given(
            evaluate_with_progress, other.model, chosen.data, config, part=chosen.name, quiet=quiet
        )
        asked[f"--compare {other.run.path}"] = lambda other=other, evaluated=evaluated: (
            other.differences.update(found.minus(evaluated()))
        )
    return asked


def _supplement(asked: dict[str, Callable[[], None]]) -> int:
    """Do what is asked until a signal, remove from it what is done, and return the exit code."""
    try:
        with ended_by_signals():
            for option in list(asked):
                asked[option]()
                del asked[option]
    except Interrupted as end:
        return end.exit_code
    return 0


def _keep(
    run: Run,
    chosen: ChosenPart,
    config: EvaluateConfig,
    found: Evaluation,
    content: dict[str, Any],
    others: list[_Other],
) -> str:
    """Store an evaluation where it belongs, and report where it is kept."""
    rows = {name: values.numpy() for name, values in found.per_image.items()}
    rows |= row_arrays(chosen.rows, None if found.rows is None else found.rows.tolist())
    kept, notes = list[str](), list[str]()
    if chosen.is_own_test_part and _is_better(run, content):
        run.results.write_evaluation(content, rows)
        kept.append(str(run.path / EVALUATION))
    elif chosen.is_own_test_part:
        notes.append(f"{run.path / EVALUATION} keeps the whole evaluation that it has")
    if config.out is not None:
        summary = atomic.as_json(content | _differences(others))
        out_file.write_arrays(config.out, rows | {"summary": summary})
        kept.append(str(config.out))
    elif not chosen.is_own_test_part:
        notes.append("not kept: --out FILE.npz keeps the evaluation of this part")
    return "; ".join(([" and ".join(kept)] if kept else []) + notes)


def _is_better(run: Run, content: dict[str, Any]) -> bool:
    """Return False if an evaluation is partial, and the run has a whole one of the same weights."""
    if "partial" not in content:
        return True
    stored, step = run.results.read_evaluation(), content["step"]
    return stored is None or "partial" in stored or not run.results.matches(EVALUATION, step)


def _print(
    step_name: str,
    run: Run,
    found: Evaluation,
    content: dict[str, Any],
    others: list[_Other],
    *,
    as_json: bool,
) -> None:
    """Print an evaluation as JSON, or as a table with lines below it."""
    console = plain_console()
    if as_json:
        console.print(atomic.as_json(content | _differences(others)))
        return
    compared = {other.heading: other.differences for other in others if other.differences}
    console.print(tables.evaluation(f"{run.path}, {step_name}", found, compared))
    if found.information.levels:
        console.print(tables.levels(found))
    lines = [*found.reliability, *tables.annealing(content, found.noun)]
    console.print("\n".join(lines))


def _print_missing(options: list[str]) -> None:
    """Report what was asked for and is not there, because a signal came first."""
    if options:
        plain_console(stderr=True).print(f"stopped early, without {', '.join(options)}")


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


def _differences(others: list[_Other]) -> dict[str, Any]:
    """Return the differences from other runs as tables of the printed JSON."""
    found = {str(o.run.path): as_tables(o.differences) for o in others if o.differences}
    steps = {str(other.run.path): other.step for other in others if other.differences}
    return {"differences": found, "steps": steps} if found else {}
