"""`elboroom figures`."""

from collections.abc import Callable

from rich.console import Console

from elboroom.cli.terminal import plain_console
from elboroom.config import FigureName, FiguresConfig
from elboroom.data import Dataset
from elboroom.device import keep_freed_memory
from elboroom.errors import DataMovedError, ElboroomError, NotDrawableError
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
    *,
    left_out: tuple[type[ElboroomError], ...] = (
        NotDrawableError,
        GridError,
        DataMovedError,
    ),
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
    load, part = _data_to_show(run, config)
    subject = gallery.Subject(
        model.cpu(),
        load,
        run.event_shape,
        run.metrics.history(),
        config,
        held_out="held-out",
        part_name=part,
        likelihood=run.config.model.likelihood,
        in_unit_interval=_in_unit_interval(run),
    )
    chosen = config.only != FiguresConfig().only
    for name in names:
        try:
            figure = gallery.draw(name, subject)
        except left_out as error:
            if chosen:
                raise
            console.print(_left_out(name, error))
            continue
        # Only figures of the test part are the run's own, which a report shows.
        file = name if part == "test" else f"{name}-{part}"
        png, svg = run.results.write_figure(file, figure, step)
        console.print(f"{png} and {svg.suffix}")


def _left_out(name: FigureName, error: ElboroomError) -> str:
    """Report why a figure is left out, and for data that were moved what to do."""
    if isinstance(error, DataMovedError):
        return f"left out: the {name} figure, because {error.what}; {error.fix}"
    return f"left out: {error.what}, because {error.why}"


def _in_unit_interval(run: Run) -> bool:
    """Return True if the data are known to lie in [0, 1]; runs of old do not state the kind."""
    if run.identity.values is None:
        return run.identity.binarisation != "none"
    return run.identity.values != "real"


def _data_to_show(run: Run, config: FiguresConfig) -> tuple[Callable[[], Dataset], str]:
    """Return a function that loads the data whose test part is shown, and the name of that part.

    New data are loaded at once, because they may be the run's own; the run's data when asked for.
    """
    part = config.part or "test"
    if config.data is None:
        return lambda: run.load_data().with_test(part), part
    chosen = run.choose_part(config.part, config.data)
    return lambda: chosen.data.with_test(chosen.name), "new" if chosen.is_new else chosen.name
