"""`elboroom figures`."""

from pathlib import Path

from rich.console import Console

from elboroom.cli.terminal import plain_console
from elboroom.config import FigureName, FiguresConfig
from elboroom.device import keep_freed_memory
from elboroom.errors import ElboroomError, NotDrawableError
from elboroom.figures import gallery
from elboroom.infer.grid import GridError
from elboroom.model.vae import VAE
from elboroom.runs.run import Run


def figures(path: Path, config: FiguresConfig, *, best: bool) -> None:
    """Draw figures into the run folder; print each, and why any cannot be drawn."""
    run = Run(path)
    model, step = run.load_model_and_step(best=best)
    draw(run, model, step, config, config.only, plain_console())


def draw(
    run: Run,
    model: VAE,
    step: int,
    config: FiguresConfig,
    names: tuple[FigureName, ...],
    console: Console,
    *,
    left_out: tuple[type[ElboroomError], ...] = (NotDrawableError, GridError),
) -> None:
    """Draw the figures `names` of the model at a step.

    One that cannot be drawn is left out, with a line on the console, unless it was chosen.

    Args:
        run: the run.
        model: its model at the step.
        step: step of the checkpoint.
        config: options.
        names: figures to draw.
        console: where each figure is named.
        left_out: the errors of a figure that leave it out.
    """
    keep_freed_memory()
    subject = gallery.Subject(
        model.cpu(),
        run.load_data,
        run.event_shape,
        run.metrics.history(),
        config,
        held_out="validation" if run.config.data.validation else "test",
        likelihood=run.config.model.likelihood,
        in_unit_interval=run.identity.binarisation != "none",
    )
    chosen = config.only != FiguresConfig().only
    for name in names:
        try:
            figure = gallery.draw(name, subject)
        except left_out as error:
            if chosen:
                raise
            console.print(f"left out: {error.what}, because {error.why}")
            continue
        png, svg = run.results.write_figure(name, figure, step)
        console.print(f"{png} and {svg.suffix}")
