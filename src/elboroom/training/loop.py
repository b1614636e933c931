"""The training loop: `train` maximises a bound on log p(x)."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace

import torch

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.config.run import require_options
from elboroom.data import Dataset, require_dataset
from elboroom.data.sharing import shared_passes
from elboroom.device import deferred_interrupt, prepare, shown_progress, world
from elboroom.errors import require_callable
from elboroom.model.likelihoods import require_support
from elboroom.model.vae import VAE, require_model
from elboroom.training.augmentation import require_pictures
from elboroom.training.average import trained
from elboroom.training.consistency import require_consistency
from elboroom.training.data_parallel import require_separable
from elboroom.training.initial_model import measure
from elboroom.training.interrupts import TrainingInterrupted
from elboroom.training.limits.time_budget import start_plan
from elboroom.training.metrics import describe
from elboroom.training.progress import Progress
from elboroom.training.safeguards.baseline import warn_if_below_baseline
from elboroom.training.safeguards.collapse_and_overfitting import warn_of_symptoms
from elboroom.training.schedule import kl_warmup, learning_rate, steps_per_epoch
from elboroom.training.speed.threads import restore_thread_count
from elboroom.training.state import TrainState, new_state, require_state
from elboroom.training.trainer import Trainer

ELBO = ObjectiveConfig()


@restore_thread_count()
def train(
    model: VAE,
    data: Dataset,
    config: TrainConfig,
    *,
    objective: ObjectiveConfig = ELBO,
    state: TrainState | None = None,
    on_step: Callable[[TrainState], None] = lambda state: None,
    on_epoch: Callable[[TrainState], None] = lambda state: None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = False,
) -> TrainState:
    """Maximise a bound on log p(x) of `data.train` by the parameters of `model`, in place.

    Processes that have joined a group of `torch.distributed` share each batch. All of them call
    this with the same arguments, and end with the same model.

    Args:
        model: trained in place; left on the device of `config` and in evaluation mode, with the
            moving average of its weights if `config.ema` asks for one. During training, also in the
            callbacks, it has the weights themselves.
        data: its train part is fitted; its validation part, or else its test part, is evaluated.
        config: options of training.
        objective: the bound; by default the ELBO with the KL in closed form.
        state: state of this model to resume from; None starts a new training.
        on_step: called after each step that ends neither an epoch nor the training.
        on_epoch: called after each epoch, and at the end of a training by time, which may end
            within one; the metrics are `state.history[-1]`.
        stop: called after each step; True ends training there. Calling `train` again with the
            returned state resumes as if it had never stopped.
        progress: show the progress, in a notebook or a terminal.

    Returns:
        The state after the last step.

    Raises:
        UsageError: if an argument has another type, or `state` is not of the training of this
            model with these data and options; if what is moved are not pictures; if a consistency
            lacks an encoder or moved images; or if several processes cannot share the batches of
            this model.
        DataError: if the data has values that the likelihood cannot take.
        TrainingError: if the bound or a gradient is not finite, and no lower learning rate helped.
            Model and state are then the last good ones.
        TrainingInterrupted: at Ctrl-C, after the current step; it holds the state to resume from.
            A second Ctrl-C ends that step at once, and undoes it with up to a hundred before it.
        WorldError: if another of several processes has ended.

    Example:
        >>> fresh = VAE.from_config(networks, data.event_shape, generator=generator)
        >>> history = train(fresh, data, brief).history
        >>> len(history), history[-1].elbo > history[0].elbo
        (5, True)
    """
    _require_arguments(model, data, config, objective)
    require_callable(on_step=on_step, on_epoch=on_epoch, stop=stop)
    model.require_events(data.event_shape)
    require_pictures(config, data.event_shape)
    require_consistency(model, config, objective)
    with shared_passes():
        require_support(model.likelihood.density, data.train, data.identity.source)
    if state is not None:
        require_state(state, model, config, steps_per_epoch(config, data.train))
    else:
        measure(model, data.train)
    device, here = prepare(config)[0], world()
    require_separable(model, here, device)
    model.to(device)
    state = state or new_state(model, config)
    if config.minutes is None:
        _warn_if_rises_do_not_end(
            Progress.of_epochs(config.resolved_epochs, config), config, objective
        )
    first_step, stopped = state.step, here.any(stop())

    with (
        _training_mode(model),
        _global_random_state(model),
        closing(_trainer(model, data, config, objective, state)) as trainer,
        trained(state.average),
        deferred_interrupt() as interrupted,
        shown_progress(progress, "training") as show,
    ):

        def after_step(state: TrainState) -> None:
            show(trainer.share, describe(state.history, data.watched_by))
            on_step(state)

        show(trainer.share, describe(state.history, data.watched_by))
        each_step = after_step if progress else on_step
        with _whole_steps(trainer):
            while not (stopped or trainer.ended):
                stopped = trainer.take_steps(each_step, lambda: stop() or interrupted())
                if trainer.finish_epoch():
                    show(trainer.share, describe(state.history, data.watched_by))
                    on_epoch(state)
                    if here.is_first:
                        warn_of_symptoms(state.history, config, data.watched_by, data.noun)
        if here.any(interrupted()):
            raise TrainingInterrupted(state)
    if here.is_first and not stopped and state.step > first_step:
        if config.minutes is not None:
            end = trainer.schedule.progress_after(state.step)
            _warn_if_rises_do_not_end(end, config, objective)
        warn_if_below_baseline(model.likelihood, data, state.history, config)
    return state


def _trainer(
    model: VAE, data: Dataset, config: TrainConfig, objective: ObjectiveConfig, state: TrainState
) -> Trainer:
    """Return the trainer of a state; plan a training by time, if it begins here."""
    plan = state.plan
    if plan is not None and not plan.pace:
        plan = replace(plan, seconds=state.seconds)
        state.plan, seconds = start_plan(plan, model, data, config, objective)
        state.seconds += seconds
    return Trainer(model, data, config, objective, state)


def _require_arguments(model: object, data: object, config: object, objective: object) -> None:
    """Check the types of the arguments of `train`.

    Raises:
        UsageError: if one has another type; it names the fix.
    """
    require_model(model)
    require_dataset(data)
    require_options(config, TrainConfig)
    require_options(objective, ObjectiveConfig)


@contextmanager
def _training_mode(model: VAE) -> Iterator[None]:
    """Leave the model in evaluation mode, also after an error: its last good weights are usable."""
    try:
        model.train()
        yield
    finally:
        model.eval()


@contextmanager
def _whole_steps(trainer: Trainer) -> Iterator[None]:
    """Undo a step that `KeyboardInterrupt` cuts short, as a second Ctrl-C does.

    Raises:
        TrainingInterrupted: in place of a plain `KeyboardInterrupt`.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        trainer.undo_half_done()
        if type(interrupt) is KeyboardInterrupt:
            raise TrainingInterrupted(trainer.state) from interrupt
        raise


def _global_random_state(model: VAE) -> AbstractContextManager[None]:
    """Restore PyTorch's global random state after training that seeds it at each step."""
    devices = range(torch.cuda.device_count())
    return torch.random.fork_rng(devices=devices, enabled=model.draws_globally)


def _warn_if_rises_do_not_end(
    end: Progress, config: TrainConfig, objective: ObjectiveConfig
) -> None:
    """Warn if the weight of the KL or the learning rate still rises at the end of the training."""
    longer = "--epochs" if config.minutes is None else "--minutes"
    if (share := kl_warmup(config, end)) < 1:
        warnings.warn(
            f"training ends at β = {objective.beta * share:.2g}, before the end of the warm-up, so "
            f"its objective is not a bound on log p(x). Use --warmup {end.epochs:g} or less, or "
            f"more {longer}.",
            stacklevel=3,
        )
    if config.learning_rate_warmup >= end.epochs:
        warnings.warn(
            f"training ends at a learning rate of {learning_rate(config, end):.2g}, before the end "
            f"of its warm-up. Use --learning-rate-warmup {end.epochs / 10:g} or less, or more "
            f"{longer}.",
            stacklevel=3,
        )
