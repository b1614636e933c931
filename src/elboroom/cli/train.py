"""What `elboroom train` does. Nothing that it does not need is imported: it starts the sooner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from elboroom.cli.signals import Interrupted, Stop, interruptible
from elboroom.cli.terminal import epoch_progress, plain_console
from elboroom.config import Config
from elboroom.data import Dataset, load_data
from elboroom.device import resolve_device
from elboroom.errors import TrainingError, UsageError
from elboroom.model.vae import VAE
from elboroom.runs.autosave import Autosave
from elboroom.runs.run import RUNS, Run
from elboroom.training.initial_model import new_model
from elboroom.training.limits.batch_size import BatchSize, largest_fit
from elboroom.training.limits.memory import memory_for
from elboroom.training.limits.time_budget import epochs_within
from elboroom.training.loop import train as train_model
from elboroom.training.safeguards.early_stopping import evaluations_after_warmup, out_of_patience
from elboroom.training.schedule import Schedule
from elboroom.training.speed.explain import explain as explained
from elboroom.training.state import TrainState


def train(
    config: Config, preset: str, *, out: Path | None, resume: Path | None, quiet: bool
) -> int:
    """Train a model in a new run folder, or go on with an old one.

    Returns:
        The exit code: 0 if training is finished, else 128 + the number of the signal that stopped
        it.

    Raises:
        Interrupted: by a signal before the run was there, or by a second Ctrl-C.
        RunError: another process trains the run.
    """
    opened = _reopened(config, resume, out) if resume else _created(config, preset, out)
    with opened as (run, data), interruptible() as stop:
        if config.train.batch_size == "auto" and not quiet:
            found = f"--batch-size auto: {run.config.train.batch_size} images a step"
            plain_console(stderr=True).print(found)
        model, state = run.load_training(data) if resume else run.new_training(data)
        _train(run, model, state, data, stop, quiet=quiet)
    steps = run.config.train.epochs * Schedule(run.config.train, data.train).steps_per_epoch
    early = state.step < steps and out_of_patience(state.history, run.config.train)
    finished = early or state.step == steps
    if not quiet:
        farewell = _farewell(run, state, data.held_out[0], finished=finished, early=early)
        plain_console(stderr=True).print(farewell)
    return 0 if finished else stop.exit_code


def _train(
    run: Run, model: VAE, state: TrainState, data: Dataset, stop: Stop, *, quiet: bool
) -> None:
    """Train on until the end or a signal, and keep what was found."""
    keeper, config = Autosave(run, model, state), run.config
    console, held_out = plain_console(stderr=True), data.held_out[0]

    def on_epoch(state: TrainState) -> None:
        keeper.on_epoch(state)
        show(state.history[-1])

    watched = epoch_progress(console, config.train, held_out, quiet=quiet)
    with watched as show, memory_for(config.train):
        try:
            train_model(
                model,
                data,
                config.train,
                objective=config.objective,
                state=state,
                on_step=keeper.on_step,
                on_epoch=on_epoch,
                stop=stop,
            )
        except TrainingError:
            keeper.save_if_possible(state)  # the last good one; why it ended matters more
            raise
        except Interrupted:
            if stop.asked:
                raise  # else it was before the first step, and nothing is to be kept
        else:
            keeper.save(state)


def explain(config: Config) -> None:
    """Print how this machine would train, and why."""
    data = load_data(config.data)
    fit = _fit(config, data)
    known = _within_minutes(_fitted(config, fit), data)
    choices = {"batches": str(fit)} if fit else {}
    if config.minutes is not None:
        fitting = f"as many as fit into {config.minutes:g} minutes, or all of --epochs"
        choices["epochs"] = f"{known.train.epochs:,}, {fitting}"
    choices |= explained(known.train, known.objective, data.train)
    for choice, why in choices.items():
        plain_console().print(f"{choice}: {why}")


@contextmanager
def _created(config: Config, preset: str, out: Path | None) -> Iterator[tuple[Run, Dataset]]:
    """A new run, locked."""
    path = out or RUNS / f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    config = replace(config, data=config.data.with_absolute_path())
    resolve_device(config.train.device)  # one that is missing must not leave a run behind
    data = load_data(config.data)
    config = _within_minutes(_fitted(config, _fit(config, data)), data)
    run = Run.create(path, config, data)
    with run.locked():
        yield run, data


def _fit(config: Config, data: Dataset) -> BatchSize | None:
    """The batches that fit into memory; None where their size was given."""
    if config.train.batch_size != "auto":
        return None
    model = new_model(config, data)
    return largest_fit(model, data.train, config.train, objective=config.objective)


def _fitted(config: Config, fit: BatchSize | None) -> Config:
    """The same with a number of images a step."""
    train = config.train if fit is None else replace(config.train, batch_size=fit.size)
    return replace(config, train=train)


def _within_minutes(config: Config, data: Dataset) -> Config:
    """The same with the epochs that its minutes allow, and no minutes any more."""
    if config.minutes is None:
        return config
    model = new_model(config, data)
    with memory_for(config.train):
        epochs = epochs_within(
            config.minutes, model, data, config.train, objective=config.objective
        )
    return replace(config, minutes=None, train=replace(config.train, epochs=epochs))


@contextmanager
def _reopened(config: Config, path: Path, out: Path | None) -> Iterator[tuple[Run, Dataset]]:
    """An old run, locked."""
    run = Run(path)
    if config != run.config or out is not None:
        raise UsageError(
            "--resume takes no other options of the run",
            why="a resumed run goes on as if it had never stopped, with the options it began with",
            fix=f"use `elboroom train --resume {path}` alone, or train a new run",
        )
    with run.locked():
        yield run, run.load_data()


def _farewell(run: Run, state: TrainState, held_out: str, *, finished: bool, early: bool) -> str:
    if not finished:
        return (
            f"stopped at step {state.step:,}; the run is kept in {run.path}\n"
            f"go on with: elboroom train --resume {run.path}"
        )
    best = " --best, for the checkpoint of the best ELBO; else the newest is used" if early else ""
    return (
        f"{_early(run, state, held_out) if early else ''}"
        f"trained: {_end(state, held_out)}; the run is in {run.path}\n"
        f"next: elboroom report {run.path}{best}"
    )


def _end(state: TrainState, held_out: str) -> str:
    """The ELBO of the last epoch, whose metrics may be lost."""
    last = next((m for m in state.history if m.step == state.step), None)
    if last is None:
        return f"step {state.step:,}, whose metrics are lost"
    return f"{held_out} ELBO {last.held_out_elbo:.2f} nats per image"


def _early(run: Run, state: TrainState, held_out: str) -> str:
    """Why training ended before its last epoch."""
    config, epoch = run.config.train, state.history[-1].epoch
    best, elbo = max(evaluations_after_warmup(state.history, config), key=lambda found: found[1])
    return (
        f"ended early, after epoch {epoch} of {config.epochs}: the {held_out} ELBO did not pass "
        f"its {elbo:.2f} of epoch {best.epoch} in {config.patience} evaluations\n"
    )
