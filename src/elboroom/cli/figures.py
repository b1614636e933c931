"""`elboroom figures`."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.console import Console

from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.terminal import plain_console
from elboroom.config import FigureName, FiguresConfig
from elboroom.data import Dataset
from elboroom.data.withheld import WATCHED_BY
from elboroom.device import keep_freed_memory
from elboroom.errors import DataMovedError, ElboroomError, NotDrawableError
from elboroom.figures import gallery
from elboroom.infer.grid import GridError
from elboroom.model.vae import VAE
from elboroom.runs.run import Run


def figures(run: Run, config: FiguresConfig, *, best: bool) -> None:
    """Draw figures into the run folder; print each, and why any cannot be drawn."""
    model, step = load_shared_model(run, best=best)
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

    Those that cannot be drawn are left out, with a line on the console, unless they were chosen.
    Those of another kind of model are left out without one.

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
    load, part, rows = _data_to_show(run, config)
    subject = gallery.Subject(
        model.cpu(),
        load,
        run.event_shape,
        run.metrics.history(),
        config,
        held_out=WATCHED_BY if run.config.data.withhold else "held-out",
        part_name=part,
        likelihood=run.config.model.likelihood,
        in_unit_interval=run.identity.in_unit_interval,
    )
    chosen = config.only != FiguresConfig().only
    errors = dict[FigureName, ElboroomError]()
    for name in names if chosen else gallery.suiting(model, names):
        try:
            figure = gallery.draw(name, subject)
        except left_out as error:
            if chosen:
                raise
            errors[name] = error
            continue
        # Figures of other rows stand beside those of the test part, which a report shows.
        file = f"{name}{rows}" if name in gallery.OF_ROWS else name
        png, svg = run.results.write_figure(file, figure, step)
        console.print(f"{png} and {svg.suffix}")
    for line in _left_out(errors):
        console.print(line)


def _left_out(errors: Mapping[FigureName, ElboroomError]) -> Iterator[str]:
    """Yield a line for each reason why figures are left out."""
    names = defaultdict[str, list[FigureName]](list)
    for name, error in errors.items():
        names[_reason(error)].append(name)
    for reason, left_out in names.items():
        yield f"left out: {', '.join(left_out)}, because {reason}"


def _reason(error: ElboroomError) -> str:
    """Return why a figure cannot be drawn, and for data that were moved what to do."""
    if isinstance(error, DataMovedError):
        return f"{error.what}; {error.fix}"
    return error.why if isinstance(error, NotDrawableError) else f"{error.what}: {error.why}"


def _data_to_show(run: Run, config: FiguresConfig) -> tuple[Callable[[], Dataset], str, str]:
    """Return the data to show, the name of their part, and the end of the names of its figures.

    The first is a function that loads the data whose test part is shown. New data are loaded at
    once, because they may be the run's own; the run's data when asked for.
    """
    if config.data is None:
        part = config.part or "test"
        return lambda: run.load_data().with_test(part), part, _ending(part)
    chosen = run.choose_part(config.part, config.data)
    part, ending = (
        ("new", f"-new-{Path(config.data).resolve().stem}")
        if chosen.is_new
        else (chosen.name, _ending(chosen.name))
    )
    return lambda: chosen.data.with_test(chosen.name), part, ending


def _ending(part: str) -> str:
    return "" if part == "test" else f"-{part}"
