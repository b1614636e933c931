"""Training of a run: metrics and checkpoints are written while the model is trained."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from elboroom.config import TrackerName, TrainConfig
from elboroom.data import Dataset
from elboroom.device import world
from elboroom.errors import TrainingError, require_callable, require_instance
from elboroom.model.vae import VAE
from elboroom.runs.autosave import Autosave
from elboroom.runs.checkpoints import listing
from elboroom.runs.following import follow_training, require_same_task, share_training
from elboroom.runs.run import Run
from elboroom.runs.tracking import Tracker
from elboroom.runs.tracking.registry import trackers_of
from elboroom.runs.tracking.tracking import tracked
from elboroom.training.interrupts import TrainingInterrupted
from elboroom.training.limits.out_of_memory import memory_errors
from elboroom.training.loop import train
from elboroom.training.safeguards.early_stopping import out_of_patience
from elboroom.training.schedule import last_step, steps_per_epoch
from elboroom.training.state import TrainState


def train_run(
    run: Run,
    data: Dataset | None = None,
    *,
    on_epoch: Callable[[TrainState], None] = lambda state: None,
    stop: Callable[[], bool] = lambda: False,
    track: Sequence[TrackerName | Tracker] = (),
    progress: bool = False,
) -> tuple[VAE, TrainState]:
    """Train a run from its newest checkpoint, or from its start, to its last epoch.

    The run is saved from time to time, at the end, and when Ctrl-C or `stop` ends training. Calling
    this again resumes as if training had never stopped. Several processes that have joined share
    the work; the first one locks and saves the run, and the others only read its config.

    Args:
        run: the run; it is locked meanwhile.
        data: its data; None loads it.
        on_epoch: called after each epoch; its metrics are `state.history[-1]`.
        stop: called after each step; True ends training there.
        track: trackers that are told of each epoch, by name or of your own; what they raise is a
            warning. The first of several processes tells them.
        progress: show the progress, in a notebook or a terminal.

    Returns:
        The model, in evaluation mode, and the state after the last step.

    Raises:
        UsageError: if an argument has another type, or the library of a tracker is not installed.
        RunError: if another process trains the run, or no checkpoint can be used.
        IncomparableError: if the data has changed.
        TrainingError: if training fails; the last good state is saved.
        TrainingInterrupted: at Ctrl-C, after the run is saved.
        DiskError: if the last checkpoint cannot be written.
        WorldError: if another process has ended.

    Example:
        >>> from elboroom import Config, DataConfig, Run, train_run
        >>> config = Config(DataConfig(split="reference"), networks, train=replace(brief, epochs=1))
        >>> run = Run.create("runs/longer", config, mnist)
        >>> train_run(run, mnist)[1].step  # 10,000 images, 50 at a step
        200
        >>> run.extend(epochs=2)
        >>> train_run(run, mnist)[1].step  # from the newest checkpoint on
        400
    """
    require_instance("run", run, Run, fix="open one: Run(path); or make one: Run.create(…)")
    require_callable(on_epoch=on_epoch, stop=stop)
    trackers = trackers_of(run.path, track)
    with run.locked() if world().is_first else nullcontext():
        data = run.data.load() if data is None else run.data.require(data)
        require_same_task(run.config, data.identity)
        if not world().is_first:
            model, state = run.new_training(data)
            follow_training(run.config, model, state, data, stop)
            return model, state
        started = bool(listing.newest_first(run.checkpoints))
        model, state = run.load_training(data) if started else run.new_training(data)
        train_and_save(
            run,
            model,
            state,
            data,
            on_epoch=on_epoch,
            stop=stop,
            trackers=trackers,
            progress=progress,
        )
    return model, state


def train_and_save(
    run: Run,
    model: VAE,
    state: TrainState,
    data: Dataset,
    *,
    on_epoch: Callable[[TrainState], None],
    stop: Callable[[], bool],
    trackers: Sequence[Tracker],
    progress: bool = False,
) -> None:
    """Train a model of a run that is locked, and save it as `train_run` does.

    Other processes take the model and the state from here, and train along.
    """
    share_training(model, state)
    autosave, config = Autosave(run, model, state), run.config

    def record(state: TrainState) -> None:
        autosave.on_epoch(state)
        tracking.log(state.history[-1])
        on_epoch(state)

    with tracked(run, state, trackers) as tracking, memory_errors(config.train, data.nouns):
        try:
            train(
                model,
                data,
                config.train,
                objective=config.objective,
                state=state,
                on_step=autosave.on_step,
                on_epoch=record,
                stop=stop,
                progress=progress,
            )
        except (TrainingError, TrainingInterrupted, Warning):  # a warning where they are errors
            autosave.save_if_possible(state)  # a disk error must not hide this one
            raise
        autosave.save(state)
        if is_finished(config.train, data, state):
            tracking.finish_training(model, state, data)


def is_finished(config: TrainConfig, data: Dataset, state: TrainState) -> bool:
    """Return True if a training has come to its last step, or has ended early."""
    last = last_step(config, steps_per_epoch(config, data.train), state.plan)
    return state.step >= last or out_of_patience(state.history, config)
