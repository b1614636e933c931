"""`elboroom train`. It imports only what training needs, so that it starts sooner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from elboroom.cli.signals import Interrupted, Stop, interruptible
from elboroom.cli.terminal import epoch_progress, plain_console
from elboroom.config import Config
from elboroom.data import Dataset, load_data
from elboroom.data.summary import summary
from elboroom.device import resolve_device
from elboroom.errors import TrainingError, UsageError, command
from elboroom.model.networks import NETWORK_KINDS
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs.autosave import Autosave
from elboroom.runs.run import RUNS, Run
from elboroom.training.limits.out_of_memory import memory_errors
from elboroom.training.loop import train as train_model
from elboroom.training.resolve import resolve, resolve_with_reasons
from elboroom.training.safeguards.early_stopping import evaluations_after_warmup, out_of_patience
from elboroom.training.schedule import steps_per_epoch
from elboroom.training.speed.explain import explain as explained
from elboroom.training.state import TrainState


def train(
    config: Config, preset: str, *, out: Path | None, resume: Path | None, quiet: bool
) -> int:
    """Train a model in a new run folder, or resume an existing run.

    Returns:
        The exit code: 0 if training is finished, else 128 + the number of the signal that stopped
        it.

    Raises:
        Interrupted: if a signal comes before the run exists, or Ctrl-C is pressed a second time.
        RunError: if another process trains the run.
    """
    opened = _existing_run(config, resume, out) if resume else _new_run(config, preset, out)
    with opened as (run, data), interruptible() as stop:
        if not resume and not quiet:
            _print_summary(data, config, run.config, stderr=True)
        if config.train.batch_size == "auto" and not quiet:
            batches = f"--batch-size auto: {run.config.train.batch_size} images a step"
            plain_console(stderr=True).print(batches)
        model, state = run.load_training(data) if resume else run.new_training(data)
        _train(run, model, state, data, stop, quiet=quiet)
    last_step = run.config.train.epochs * steps_per_epoch(run.config.train, data.train)
    early = state.step < last_step and out_of_patience(state.history, run.config.train)
    finished = early or state.step == last_step
    if not quiet:
        message = _closing_message(run, state, data.held_out[0], finished=finished, early=early)
        plain_console(stderr=True).print(message)
    return 0 if finished else stop.exit_code


def _train(
    run: Run, model: VAE, state: TrainState, data: Dataset, stop: Stop, *, quiet: bool
) -> None:
    """Train until the last step or a signal, and save the run."""
    autosave, config = Autosave(run, model, state), run.config
    console, held_out = plain_console(stderr=True), data.held_out[0]

    def on_epoch(state: TrainState) -> None:
        autosave.on_epoch(state)
        show(state.history[-1])

    watched = epoch_progress(console, config.train, held_out, quiet=quiet)
    with watched as show, memory_errors(config.train):
        try:
            train_model(
                model,
                data,
                config.train,
                objective=config.objective,
                state=state,
                on_step=autosave.on_step,
                on_epoch=on_epoch,
                stop=stop,
            )
        except TrainingError:
            autosave.save_if_possible(state)  # a disk error must not hide this one
            raise
        except Interrupted:
            if stop.asked:
                raise  # without a step there is nothing to save
        else:
            autosave.save(state)


def explain(config: Config) -> None:
    """Print how this machine would train, and why."""
    data = load_data(config.data)
    resolved, reasons = resolve_with_reasons(config, data)
    _print_summary(data, config, resolved)
    kind, noise = NETWORK_KINDS[resolved.model.network], stream(resolved.train.seed, "weights")
    decoder = kind.decoder(resolved.model, data.event_shape, noise)
    reasons |= explained(decoder, data.train, resolved.train, resolved.objective)
    for choice, reason in reasons.items():
        plain_console().print(f"{choice}: {reason}")


def _print_summary(data: Dataset, asked: Config, config: Config, *, stderr: bool = False) -> None:
    console = plain_console(stderr=stderr)
    for line in summary(data, config.model, asked=asked.model.likelihood):
        console.print(line)


@contextmanager
def _new_run(config: Config, preset: str, out: Path | None) -> Iterator[tuple[Run, Dataset]]:
    """Create a run, and hold its lock in this block."""
    path = out or RUNS / f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    config = replace(config, data=config.data.with_absolute_path())
    resolve_device(config.train.device)  # a missing device must not leave a run behind
    data = load_data(config.data)
    run = Run.create(path, resolve(config, data), data)
    with run.locked():
        yield run, data


@contextmanager
def _existing_run(config: Config, path: Path, out: Path | None) -> Iterator[tuple[Run, Dataset]]:
    """Open a run to resume it, and hold its lock in this block."""
    run = Run(path)
    if config != run.config or out is not None:
        raise UsageError(
            "found other options with --resume; expected none",
            why="a resumed run continues as if it had never stopped, with its original options",
            fix=f"use `{command('train', '--resume', path)}` alone, or train a new run",
        )
    with run.locked():
        yield run, run.load_data()


def _closing_message(
    run: Run, state: TrainState, held_out: str, *, finished: bool, early: bool
) -> str:
    """Report how training ended, and the next command to run."""
    if not finished:
        return (
            f"stopped at step {state.step:,}; the run is in {run.path}\n"
            f"resume with: {command('train', '--resume', run.path)}"
        )
    best = " --best, which takes the best checkpoint instead of the newest" if early else ""
    return (
        f"{_early_end(run, state, held_out) if early else ''}"
        f"trained: {_last_elbo(state, held_out)}; the run is in {run.path}\n"
        f"next: {command('report', run.path)}{best}"
    )


def _last_elbo(state: TrainState, held_out: str) -> str:
    """Report the ELBO of the last epoch, or that its metrics are lost."""
    last = next((m for m in state.history if m.step == state.step), None)
    if last is None:
        return f"step {state.step:,}, whose metrics are lost"
    return f"{held_out} ELBO {last.held_out_elbo:.2f} nats per image"


def _early_end(run: Run, state: TrainState, held_out: str) -> str:
    """Report why training ended before its last epoch."""
    config, epoch = run.config.train, state.history[-1].epoch
    best, elbo = max(evaluations_after_warmup(state.history, config), key=lambda pair: pair[1])
    return (
        f"ended early, after epoch {epoch} of {config.epochs}: no {held_out} ELBO of the last "
        f"{config.patience} evaluations was above {elbo:.2f}, that of epoch {best.epoch}\n"
    )
