"""`elboroom train`. It imports only what training needs, so that it starts sooner."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from elboroom.cli.signals import Interrupted, Stop, interruptible
from elboroom.cli.terminal import epoch_progress, in_bits, plain_console
from elboroom.config import Config, TrackerName
from elboroom.data import Dataset, load_data, noun
from elboroom.data.summary import notes, summary
from elboroom.device import resolve_device, world
from elboroom.errors import UsageError, command
from elboroom.model.factory import NetworkFactory, import_factory
from elboroom.model.likelihoods import likelihood_class
from elboroom.model.vae import VAE
from elboroom.runs.config_file import CONFIG
from elboroom.runs.following import follow_training, new_follower, require_same_task
from elboroom.runs.run import RUNS, Run, require_values_of
from elboroom.runs.tracking.registry import require_trackers, trackers_of
from elboroom.runs.training import is_finished, train_and_save
from elboroom.training.limits.time_budget import start_plan
from elboroom.training.resolve import resolve_run
from elboroom.training.safeguards.early_stopping import (
    evaluations_after_warmup,
    final_epoch,
)
from elboroom.training.schedule import last_step, steps_per_epoch
from elboroom.training.speed.explain import explain as explained
from elboroom.training.state import TrainState
from elboroom.training.summary import summary as training_summary
from elboroom.training.time_plan import TimePlan


@dataclass(frozen=True)
class _Training:
    """A training that can begin.

    Attributes:
        config: the options of the run.
        data: its data.
        begin: makes or loads the model and the state.
        run: the run, locked; None in a process that follows another.
    """

    config: Config
    data: Dataset
    begin: Callable[[], tuple[VAE, TrainState]]
    run: Run | None


def train(
    config: Config,
    preset: tuple[str, str],
    *,
    out: Path | None,
    resume: Path | None,
    resume_or_start: Path | None,
    trust: bool,
    track: tuple[TrackerName, ...],
    quiet: bool,
    began: float,
) -> int:
    """Train a model in a new run folder, or resume an existing run.

    Of several processes the first alone has the run folder and prints.

    Args:
        config: options of the run.
        preset: the preset that they started from, and why it was taken.
        out: the run folder; None names one by the preset and the time.
        resume: the run to resume, or None.
        resume_or_start: the run to resume if it exists, else the new run folder; or None.
        trust: let the run to resume import the code that makes its networks.
        track: names of trackers.
        quiet: print only notes on the data, warnings and errors.
        began: when the command began, by `time.perf_counter`; the minutes count from then.

    Returns:
        The exit code: 0 if training is finished, else 128 + the number of the signal that stopped
        it.

    Raises:
        Interrupted: if a signal comes before the run exists, or Ctrl-C is pressed a second time.
        RunError: if another process trains the run.
        UsageError: if the library of a tracker is not installed.
    """
    require_trackers(track)  # a missing library must not leave a run behind
    if resume_or_start is not None:
        config, out, resume = _resume_or_start(config, out, resume, resume_or_start, trust=trust)
    opened = (
        _existing_run(config, resume, out, trust) if resume else _new_run(config, preset[0], out)
    )
    with opened as found, interruptible() as stop:
        if found.run is None:
            state = _follow(found, stop)
        else:
            if not resume:
                _print_choices(found, config, preset, quiet=quiet)
            state = _lead(found, found.run, stop, track, quiet=quiet, began=began)
    finished = is_finished(found.config.train, found.data, state)
    if found.run is not None and not quiet:
        message = _closing_message(found.run, state, found.data, track, finished=finished)
        plain_console(stderr=True).print(message)
    return 0 if finished else stop.exit_code


def _print_choices(
    found: _Training, asked: Config, preset: tuple[str, str], *, quiet: bool
) -> None:
    """Print what was read, and what was chosen for it."""
    console, train = plain_console(stderr=True), found.config.train
    lines = _summary(found.data, asked, found.config, preset, quiet=quiet)
    console.print("\n".join(lines), end="\n" * bool(lines))
    if asked.train.batch_size == "auto" and not quiet:
        console.print(f"--batch-size auto: {train.batch_size} {found.data.nouns} a step")


def _follow(found: _Training, stop: Stop) -> TrainState:
    """Train along with the process that has the run."""
    model, state = found.begin()
    follow_training(found.config, model, state, found.data, stop)
    return state


def _lead(
    found: _Training,
    run: Run,
    stop: Stop,
    track: tuple[TrackerName, ...],
    *,
    quiet: bool,
    began: float,
) -> TrainState:
    """Train until the last step or a signal, and save the run."""
    (model, state), data = found.begin(), found.data
    state.seconds += time.perf_counter() - began
    console = plain_console(stderr=True)
    words = run.config.train, data.watched_by, data.nouns
    with epoch_progress(console, *words, quiet=quiet, values=_values_in_bits(run, data)) as show:
        try:
            train_and_save(
                run,
                model,
                state,
                data,
                on_epoch=lambda state: show(state.history[-1]),
                stop=stop,
                trackers=trackers_of(run.path, track),
            )
        except Interrupted:
            if stop.asked:
                raise  # without a step there is nothing to save
    return state


def explain(config: Config, preset: tuple[str, str]) -> None:
    """Print how this machine would train, and why."""
    data = load_data(config.data)
    network = _own_network(config)
    found = resolve_run(config, data, network)
    if not world().is_first:
        return
    resolved = found.config
    plain_console().print("\n".join(_summary(data, config, resolved, preset)))
    require_values_of(resolved, data)
    steps, epochs = _planned(found.model, data, resolved)
    machine = explained(found.model, data.train, resolved.train, resolved.objective, steps)
    reasons = found.reasons | epochs | machine
    for choice, reason in reasons.items():
        plain_console().print(f"{choice}: {reason}")


def _planned(model: VAE, data: Dataset, config: Config) -> tuple[float, dict[str, str]]:
    """Return the steps of a training, and, if it is one by time, what they follow from."""
    per_epoch, options = steps_per_epoch(config.train, data.train), config.train
    if options.minutes is None:
        return last_step(options, per_epoch, None), {}
    model.to(resolve_device(options.device)).train()
    empty = TimePlan(options.minutes)
    plan, _ = start_plan(empty, model, data, options, config.objective)
    reason = (
        f"about {plan.end / per_epoch:,.3g}, as many as fit into {options.minutes:g} minutes at "
        f"{plan.pace:.3g} s a step, or all of --epochs"
    )
    return plan.end, {"epochs": reason}


def _own_network(config: Config) -> NetworkFactory | None:
    """Import the factory of --network, which the user names here; None for a name of elboroom's."""
    return import_factory(config.model.network) if config.model.has_own_network else None


def _summary(
    data: Dataset, asked: Config, config: Config, preset: tuple[str, str], *, quiet: bool = False
) -> list[str]:
    """Describe data and training in lines; quiet, in notes alone, which may tell of a mistake."""
    if quiet:
        return notes(data)
    lines = summary(data, config.model, asked=asked.model.likelihood)
    return [*lines, f"preset: {', '.join(preset)}", *training_summary(config.train)]


@contextmanager
def _new_run(config: Config, preset: str, out: Path | None) -> Iterator[_Training]:
    """Create a run, and hold its lock in this block; other processes follow."""
    path = out or RUNS / f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    config = _with_absolute_paths(config)
    resolve_device(config.train.device)  # a missing device must not leave a run behind
    data = load_data(config.data)
    network = _own_network(config)
    found = resolve_run(config, data, network)
    require_same_task(found.config, data.identity)
    if not world().is_first:
        begin = partial(new_follower, found.model, found.config)
        yield _Training(found.config, data, begin, None)
        return
    run = Run.create(path, found.config, data, network=network)
    with run.locked():
        yield _Training(run.config, data, lambda: run.start(found.model), run)


def _with_absolute_paths(config: Config) -> Config:
    config = replace(config, data=config.data.with_absolute_path())
    if config.init_from is None:
        return config
    return replace(config, init_from=str(Path(config.init_from).resolve()))


@contextmanager
def _existing_run(config: Config, path: Path, out: Path | None, trust: bool) -> Iterator[_Training]:
    """Open a run to resume it, perhaps to more epochs, and hold its lock in this block."""
    run, is_first = Run(path, trust=trust), world().is_first
    with run.locked() if is_first else nullcontext():
        if out is not None or not _is_longer(config, run.config):
            raise _other_options(path)
        data = run.load_data()
        require_same_task(config, data.identity)
        if not is_first:
            yield _Training(config, data, lambda: run.new_training(data), None)
            return
        if config != run.config:
            run.extend(config.train.resolved_epochs)
        yield _Training(run.config, data, lambda: run.load_training(data), run)


def _resume_or_start(
    config: Config, out: Path | None, resume: Path | None, path: Path, *, trust: bool
) -> tuple[Config, Path | None, Path | None]:
    """Return the config, the folder of a new run, and the run to resume.

    Raises:
        UsageError: if the run exists, and was started with other options.
    """
    if out is not None or resume is not None:
        raise UsageError(
            f"found {'--out' if resume is None else '--resume'} with --resume-or-start",
            why="--resume-or-start names the run, whether it exists or not",
            fix="leave the other option out",
        )
    if not world().least(int((path / CONFIG).exists())):
        return config, path, None
    run, asked = Run(path, trust=trust), _with_absolute_paths(config)
    differences = asked.differences(run.config)
    by_time = run.config.train.minutes is not None
    epochs = None if by_time else differences.pop("epochs", None)
    if differences or (epochs is not None and epochs[0] < epochs[1]):
        raise _other_start(path, asked.differences(run.config))
    if epochs is None:
        return run.config, None, path
    longer = replace(run.config.train, epochs=epochs[0])
    return replace(run.config, train=longer), None, path


def _other_start(path: Path, differences: dict[str, tuple[Any, Any]]) -> UsageError:
    named = [f"{name} {now}, then {then}" for name, (now, then) in differences.items()]
    return UsageError(
        f"found other options than those that {path} was started with",
        why=", ".join(named),
        fix="give the same options, of which --epochs may rise; or name another run",
    )


def _is_longer(config: Config, before: Config) -> bool:
    """Return whether a config is the one before, or differs in more epochs alone."""
    if config == before or before.train.minutes is not None:
        return config == before
    epochs = config.train.resolved_epochs
    extended = replace(before, train=replace(before.train, epochs=epochs))
    return config == extended and epochs >= before.train.resolved_epochs


def _other_options(path: Path) -> UsageError:
    return UsageError(
        "found other options with --resume; expected none, or more --epochs alone",
        why="a resumed run continues as if it had never stopped, with its original options",
        fix=f"use `{command('train', '--resume', path)}`, add --epochs, or train a new run; "
        "--init-from starts a new run from its weights",
    )


def _closing_message(
    run: Run,
    state: TrainState,
    data: Dataset,
    track: tuple[TrackerName, ...],
    *,
    finished: bool,
) -> str:
    """Report how training ended, and the next command to run."""
    trust = ["--trust"] if run.config.model.has_own_network else []
    if not finished:
        again = [*trust, *(["--track", *track] if track else [])]
        return (
            f"stopped at step {state.step:,}; the run is in {run.path}\n"
            f"resume with: {command('train', '--resume', run.path, *again)}"
        )
    early = _is_early(run, state, data)
    best = " --best, which takes the best checkpoint instead of the newest" if early else ""
    return (
        f"{_early_end(run, state, data.watched_by) if early else ''}{_skipped(run, state)}"
        f"trained: {_last_elbo(state, data, run)}; the run is in {run.path}\n"
        f"next: {command('report', run.path, *trust)}{best}"
    )


def _is_early(run: Run, state: TrainState, data: Dataset) -> bool:
    """Return True if a training that is finished ended before its last step."""
    options = run.config.train
    return state.step < last_step(options, steps_per_epoch(options, data.train), state.plan)


def _last_elbo(state: TrainState, data: Dataset, run: Run) -> str:
    """Report the ELBO of the final weights, or that the metrics of the last epoch are lost."""
    if not any(m.step == state.step for m in state.history):
        return f"step {state.step:,}, whose metrics are lost"
    final = final_epoch(state.history, run.config.train)
    assert final is not None
    assert final.held_out_elbo is not None
    kept = f", the weights of epoch {final.epoch}" if final.step < state.step else ""
    elbo, bits = final.held_out_elbo, in_bits(final.held_out_elbo, _values_in_bits(run, data))
    return f"{data.watched_by} {elbo:.2f} nats per {noun(run.event_shape)}{bits}{kept}"


def _values_in_bits(run: Run, data: Dataset) -> int | None:
    """Return the number of values of a row; None if its bits per value are not known.

    They are not for a density, and not where values are missing.
    """
    discrete = likelihood_class(run.config.model).in_bits
    return math.prod(data.event_shape) if discrete and not data.train.missing else None


def _skipped(run: Run, state: TrainState) -> str:
    """Report how many steps changed nothing, if there were any."""
    steps, skip = sum(m.skipped for m in state.history), run.config.train.skip
    if skip is None or not steps:
        return ""
    why = "was not finite" if skip == math.inf else f"was above {skip:g} or not finite"
    return f"skipped: {steps:,} of {state.step:,} steps, whose gradient's norm {why}\n"


def _early_end(run: Run, state: TrainState, watched_by: str) -> str:
    """Report why training ended before its last epoch."""
    config, epoch = run.config.train, state.history[-1].epoch
    of_all = "" if config.minutes is not None else f" of {config.resolved_epochs}"
    best, elbo = max(evaluations_after_warmup(state.history, config), key=lambda pair: pair[1])
    return (
        f"ended early, after epoch {epoch}{of_all}: no {watched_by} of the "
        f"last {config.patience} evaluations was above {elbo:.2f}, that of epoch {best.epoch}\n"
    )
