"""What the commands do: each joins the parts of the library, and says what came of it."""

import json
import math
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from elboroom import gallery
from elboroom import report as reports
from elboroom.config import Config, EvaluateConfig, FigureName, FiguresConfig
from elboroom.data import Dataset, load_data
from elboroom.device import keep_freed_memory, resolve_device
from elboroom.diagnostics import RELIABLE_K_HAT
from elboroom.errors import NotDrawableError, UsageError
from elboroom.evaluation import Estimate, Evaluation, label
from elboroom.evaluation import evaluate as evaluate_model
from elboroom.infer.grid import GridError
from elboroom.interrupt import interruptible
from elboroom.progress import watch
from elboroom.runs import Run
from elboroom.terminal import counting, plain_console
from elboroom.training import TrainState
from elboroom.training import train as train_model

_SECONDS_BETWEEN_CHECKPOINTS = 30.0
_GLANCE = 20  # samples an image, for a report of a run that was not evaluated


def train(
    config: Config, preset: str, *, out: Path | None, resume: Path | None, quiet: bool
) -> bool:
    """Train a model in a new run folder, or go on with an old one; False if interrupted."""
    run, data = _reopen(config, resume, out) if resume else _create(config, preset, out)
    model, state = run.load_training(data) if resume else run.new_training(data)
    held_out = data.held_out[0]
    saved = time.monotonic()

    def on_epoch(state: TrainState) -> None:
        nonlocal saved
        run.record(state.history[-1])
        show(state.history[-1])
        if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
            run.save(model, state)
            saved = time.monotonic()

    console = plain_console(stderr=True)
    with interruptible() as stop, watch(console, config.train, held_out, quiet=quiet) as show:
        train_model(
            model,
            data,
            config.train,
            objective=config.objective,
            state=state,
            on_epoch=on_epoch,
            stop=stop,
        )
        run.save(model, state)
    finished = len(state.history) == config.train.epochs
    if not quiet:
        console.print(_farewell(run, state, held_out, finished=finished))
    return finished


def _create(config: Config, preset: str, out: Path | None) -> tuple[Run, Dataset]:
    path = out or Path("runs") / f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    config = replace(config, data=config.data.anywhere())
    resolve_device(config.train.device)  # one that is missing must not leave a run behind
    data = load_data(config.data)
    return Run.create(path, config, data), data


def _reopen(config: Config, path: Path, out: Path | None) -> tuple[Run, Dataset]:
    run = Run(path)
    if config != run.config or out is not None:
        raise UsageError(
            "--resume takes no other options of the run",
            why="a resumed run goes on as if it had never stopped, with the options it began with",
            fix=f"use `elboroom train --resume {path}` alone, or train a new run",
        )
    return run, run.load_data()


def _farewell(run: Run, state: TrainState, held_out: str, *, finished: bool) -> str:
    if not finished:
        return (
            f"stopped at step {state.step:,}; the run is kept in {run.path}\n"
            f"go on with: elboroom train --resume {run.path}"
        )
    elbo = state.history[-1].held_out_elbo
    return (
        f"trained: {held_out} ELBO {elbo:.2f} nats per image; the run is in {run.path}\n"
        f"next: elboroom report {run.path}"
    )


def evaluate(
    path: Path, config: EvaluateConfig, *, compare: tuple[Path, ...], quiet: bool, as_json: bool
) -> None:
    """Evaluate a run, store what was found, and print it beside the differences from others."""
    run, others = Run(path), [Run(other) for other in compare]
    for other in others:
        run.identity.require_same(other.identity)
    ours = _evaluate(run, config, quiet=quiet)
    run.write_evaluation(ours.to_dict(), ours.per_image)
    theirs = {str(other.path): _evaluate(other, config, quiet=quiet) for other in others}
    differences = {name: ours.minus(other) for name, other in theirs.items()}
    console = plain_console()
    if as_json:
        tables = {
            name: {quantity: vars(e) for quantity, e in table.items()}
            for name, table in differences.items()
        }
        content = ours.to_dict() | ({"differences": tables} if tables else {})
        console.print(json.dumps(content, indent=2))
        return
    table = Table(
        title=ours.title, title_justify="left", caption="nats per image, ± one standard error"
    )
    table.add_column("quantity")
    table.add_column(str(path), justify="right")
    for other in differences:
        table.add_column(f"− {other}", justify="right")
    for name, estimate in ours.estimates.items():
        cells = [str(difference[name]) for difference in differences.values()]
        table.add_row(label(name, config.k), str(estimate), *cells)
    console.print(table)
    console.print(_trust(ours))


def _evaluate(run: Run, config: EvaluateConfig, *, quiet: bool = True) -> Evaluation:
    keep_freed_memory()
    data, model = run.load_data(), run.load_model().to(resolve_device("auto"))
    with counting(len(data.test), quiet=quiet) as done:
        return evaluate_model(model, data, k=config.k, seed=config.seed, on_images=done)


def _trust(found: Evaluation) -> str:
    """What the weights are worth, and what the latents hold, a line each."""
    quality, held = found.quality, found.information
    worth = f"{quality['ess'].mean:,.1f} effective samples of {found.k:,}"
    if "reliable" in quality:
        worth += f"; k̂ < {RELIABLE_K_HAT} for {quality['reliable'].mean:.1%} of the images"
    latents = (
        f"{int(held.active.sum())} of {len(held.active)} latents active, "
        f"mutual information {Estimate.of(held.mutual)} nats of at most {_most(found):.2f}"
    )
    return f"{worth}\n{latents}"


def _most(found: Evaluation) -> float:
    """What N images can tell of each other: log N."""
    return math.log(len(found.information.mutual))


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
        glance = _evaluate(run, EvaluateConfig(k=_GLANCE))
        run.write_evaluation(glance.to_dict(), glance.per_image)
    due: tuple[FigureName, ...] = tuple(
        n for n in FiguresConfig().only if not run.holds(f"figures/{n}.png")
    )
    if due:
        _draw(run, run.load_data(), FiguresConfig(), due, console)
    console.print(f"open {run.write_report(reports.render(run))}")
