"""What `elboroom train` does. Nothing that it does not need is imported: it starts the sooner."""

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from elboroom.config import Config
from elboroom.data import Dataset, load_data
from elboroom.device import resolve_device
from elboroom.errors import UsageError
from elboroom.explanation import explain as explained
from elboroom.interrupt import interruptible
from elboroom.pace import epochs_within
from elboroom.progress import watch
from elboroom.runs import Run, new_model
from elboroom.terminal import plain_console
from elboroom.training import TrainState
from elboroom.training import train as train_model

_SECONDS_BETWEEN_CHECKPOINTS = 30.0


def train(
    config: Config, preset: str, *, out: Path | None, resume: Path | None, quiet: bool
) -> bool:
    """Train a model in a new run folder, or go on with an old one; False if interrupted."""
    run, data = _reopen(config, resume, out) if resume else _create(config, preset, out)
    model, state = run.load_training(data) if resume else run.new_training(data)
    config = run.config  # whose epochs are those that fit, where minutes were given
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


def explain(config: Config) -> None:
    """Print how this machine would train, and why."""
    data = load_data(config.data)
    for choice, why in explained(config.train, config.objective, data.train).items():
        plain_console().print(f"{choice}: {why}")


def _create(config: Config, preset: str, out: Path | None) -> tuple[Run, Dataset]:
    path = out or Path("runs") / f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    config = replace(config, data=config.data.anywhere())
    resolve_device(config.train.device)  # one that is missing must not leave a run behind
    data = load_data(config.data)
    return Run.create(path, _within_minutes(config, data), data), data


def _within_minutes(config: Config, data: Dataset) -> Config:
    """The same with the epochs that its minutes allow, and no minutes any more."""
    if config.minutes is None:
        return config
    model = new_model(config, data)
    epochs = epochs_within(config.minutes, model, data, config.train, objective=config.objective)
    return replace(config, minutes=None, train=replace(config.train, epochs=epochs))


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
