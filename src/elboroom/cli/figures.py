"""`elboroom figures`."""

from rich.console import Console

from elboroom.cli.terminal import plain_console
from elboroom.config import FigureName, FiguresConfig
from elboroom.device import keep_freed_memory
from elboroom.errors import NotDrawableError
from elboroom.figures import gallery
from elboroom.infer.grid import GridError
from elboroom.model.vae import VAE
from elboroom.runs.run import Run


def figures(run: Run, config: FiguresConfig, *, best: bool) -> None:
    """Draw figures into the run folder; print each, and why any cannot be drawn."""
    model, step = run.load_model_and_step(best=best)
    draw(run, model, step, config, config.only, plain_console())


def draw(
    run: Run,
    model: VAE,
    step: int,
    config: FiguresConfig,
    names: tuple[FigureName, ...],
    console: Console,
) -> None:
    """Draw the figures `names` of the model at a step.

    One that cannot be drawn is left out, with a line on the console, unless it was chosen.
    """
    keep_freed_memory()
    subject = gallery.Subject(
        model.cpu(),
        lambda: run.choose_part(config.part, config.data).dataset,
        run.event_shape,
        run.metrics.history(),
        config,
    )
    chosen = config.only != FiguresConfig().only
    for name in names:
        try:
            figure = gallery.draw(name, subject)
        except (NotDrawableError, GridError) as error:
            if chosen:
                raise
            console.print(f"left out: {error}")
            continue
        png, svg = run.results.write_figure(name, figure, step)
        console.print(f"{png} and {svg.suffix}")
