"""`elboroom report`."""

from typing import Any

from rich.console import Console

from elboroom.cli.evaluate import evaluate_with_progress
from elboroom.cli.figures import draw
from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.terminal import plain_console
from elboroom.config import EvaluateConfig, FigureName, FiguresConfig
from elboroom.errors import ElboroomError, command
from elboroom.model.vae import VAE
from elboroom.runs.chosen_part import row_arrays
from elboroom.runs.report import EvaluationSummary, render, summarise
from elboroom.runs.results import EVALUATION
from elboroom.runs.run import Run

_QUICK_K = 20  # samples per image, if the checkpoint was not evaluated


def report(run: Run, *, best: bool, data: str | None = None) -> None:
    """Write report.html, after evaluating and drawing what is missing for this checkpoint."""
    console = plain_console()
    model, step = load_shared_model(run, best=best)
    if run.results.is_current(EVALUATION, step):
        evaluation = run.results.read_evaluation()
    else:
        evaluation = _quick_evaluation(run, model, step, console, best=best, data=data)
    missing: tuple[FigureName, ...] = tuple(
        n for n in FiguresConfig().only if not run.results.is_current(f"figures/{n}.png", step)
    )
    if missing:
        # A figure has no options here, so no error of one is the user's.
        shown = FiguresConfig(data=data)
        draw(run, model, step, shown, missing, console, left_out=(ElboroomError,))
    console.print(f"open {run.results.write_report(render(run, evaluation), step)}")


def _quick_evaluation(
    run: Run, model: VAE, step: int, console: Console, *, best: bool, data: str | None
) -> dict[str, Any]:
    """Evaluate with few samples; store the result unless that replaces a costlier one."""
    stored = run.results.read_evaluation()
    config = EvaluateConfig(k=_QUICK_K)
    loaded = run.load_data(data)
    found = evaluate_with_progress(model, loaded, config, quiet=True)
    evaluation = run.results.provenance(step) | found.to_dict()
    if stored is None or _is_quick(stored):
        run.results.write_evaluation(evaluation, found.per_image | row_arrays(loaded.test))
    else:
        evaluate = f"`{command('evaluate', run.path, *['--best'] * best)}`"
        console.print(f"{_kept(summarise(run, stored))}; {evaluate} evaluates step {step:,}")
    return evaluation


def _is_quick(evaluation: dict[str, Any]) -> bool:
    """Return True if an evaluation cost no more than a quick one."""
    k = evaluation.get("k")
    return isinstance(k, int) and k <= _QUICK_K and not evaluation.keys() & {"ais", "certificate"}


def _kept(stored: EvaluationSummary) -> str:
    which = f"step {stored.step:,} with K = {stored.k:,}"
    return f"evaluation.json, of {which}, is kept; the page has K = {_QUICK_K}"
