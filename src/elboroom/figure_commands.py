"""What `elboroom figures` and `elboroom report` do."""

from pathlib import Path

from rich.console import Console

from elboroom import gallery
from elboroom import report as reports
from elboroom.config import EvaluateConfig, FigureName, FiguresConfig
from elboroom.data import Dataset
from elboroom.device import keep_freed_memory
from elboroom.errors import NotDrawableError
from elboroom.evaluation_commands import evaluated
from elboroom.infer.grid import GridError
from elboroom.runs import Run
from elboroom.terminal import plain_console

_GLANCE = 20  # samples an image, for a report of a run that was not evaluated


def figures(path: Path, config: FiguresConfig) -> None:
    """Draw figures into the run folder, and say which, and which cannot be drawn and why."""
    run = Run(path)
    _draw(run, run.load_data(), config, config.only, plain_console())


def _draw(
    run: Run,
    data: Dataset,
    config: FiguresConfig,
    names: tuple[FigureName, ...],
    console: Console,
) -> None:
    keep_freed_memory()
    subject = gallery.Subject(run.load_model(), data, run.history(), config)
    chosen = config.only != FiguresConfig().only
    for name in names:
        try:
            figure = gallery.draw(name, subject)
        except (NotDrawableError, GridError) as error:
            if chosen:
                raise
            console.print(f"left out: {error}")
            continue
        png, svg = run.write_figure(name, figure)
        console.print(f"{png} and {svg.suffix}")


def report(path: Path) -> None:
    """Write report.html, after evaluating and drawing what is missing or from before training."""
    run, console = Run(path), plain_console()
    if not run.holds("evaluation.json"):
        glance = evaluated(run, EvaluateConfig(k=_GLANCE), quiet=True)
        run.write_evaluation(glance.to_dict(), glance.per_image)
    due: tuple[FigureName, ...] = tuple(
        n for n in FiguresConfig().only if not run.holds(f"figures/{n}.png")
    )
    if due:
        _draw(run, run.load_data(), FiguresConfig(), due, console)
    console.print(f"open {run.write_report(reports.render(run))}")
