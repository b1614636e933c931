"""`elboroom report`."""

from pathlib import Path
from typing import Any

from rich.console import Console

from elboroom.cli.evaluate import evaluate_with_progress
from elboroom.cli.figures import _draw
from elboroom.cli.terminal import plain_console
from elboroom.config import EvaluateConfig, FigureName, FiguresConfig
from elboroom.model.vae import VAE
from elboroom.runs import report as reports
from elboroom.runs.run import Run

_GLANCE = 20  # samples an image, for a report of a checkpoint that was not evaluated


def report(path: Path, *, best: bool) -> None:
    """Write report.html, after evaluating and drawing what the run lacks of this checkpoint."""
    run, console = Run(path), plain_console()
    model, step = run.load_model_and_step(best=best)
    held = run.holds("evaluation.json", step)
    evaluation = run.read_evaluation() if held else _glance(run, model, step, console, best=best)
    due: tuple[FigureName, ...] = tuple(
        n for n in FiguresConfig().only if not run.holds(f"figures/{n}.png", step)
    )
    if due:
        _draw(run, model, step, FiguresConfig(), due, console)
    console.print(f"open {run.write_report(reports.render(run, evaluation))}")


def _glance(run: Run, model: VAE, step: int, console: Console, *, best: bool) -> dict[str, Any]:
    """A brief evaluation, stored unless it would replace one that took longer."""
    stored = run.read_evaluation()
    config = EvaluateConfig(k=_GLANCE)
    found = evaluate_with_progress(model, run.load_data(), config, quiet=True)
    evaluation = run.origin(step) | found.to_dict()
    if stored is None or _is_brief(stored):
        run.write_evaluation(evaluation, found.per_image)
    else:
        evaluate = f"`elboroom evaluate {run.path}{' --best' * best}`"
        console.print(f"{_kept(reports.told(run, stored))}; {evaluate} evaluates step {step:,}")
    return evaluation


def _is_brief(evaluation: dict[str, Any]) -> bool:
    """Whether it has no more than a glance has."""
    k = evaluation.get("k")
    return isinstance(k, int) and k <= _GLANCE and not evaluation.keys() & {"ais", "certificate"}


def _kept(told: reports.Told) -> str:
    which = "an older version" if told.step is None else f"step {told.step:,}"
    return f"evaluation.json, of {which} with K = {told.k:,}, is kept; the page has K = {_GLANCE}"
