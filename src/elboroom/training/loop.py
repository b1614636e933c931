"""The training loop: `train` maximises a bound on log p(x) by Adam."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Part, require_dataset
from elboroom.device import autocast, prepare
from elboroom.model.likelihoods import require_support
from elboroom.model.vae import VAE
from elboroom.randomness import restart, stream
from elboroom.training.initial_model import measure
from elboroom.training.interrupts import TrainingInterrupted, deferred_interrupt
from elboroom.training.objective import bound
from elboroom.training.safeguards.baseline import warn_if_below_baseline
from elboroom.training.safeguards.collapse_and_overfitting import warn_of_symptoms
from elboroom.training.safeguards.early_stopping import keep_best, out_of_patience
from elboroom.training.safeguards.rollback import Rollback
from elboroom.training.schedule import Schedule, kl_warmup, learning_rate
from elboroom.training.speed.fast_steps import fastest_step
from elboroom.training.speed.threads import restore_thread_count
from elboroom.training.state import EpochMetrics, TrainState, new_state
from elboroom.training.step import Step

_EVALUATION_BATCH = 1_000
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
) -> TrainState:
    """Maximise a bound on log p(x) of `data.train` by the parameters of `model`, in place.

    Args:
        model: trained in place; left on the device of `config` and in evaluation mode.
        data: its train part is fitted; its validation part, or else its test part, is evaluated.
        config: options of training.
        objective: the bound; by default the ELBO with the KL in closed form.
        state: state to resume from; None starts a new training.
        on_step: called after each step that does not end an epoch.
        on_epoch: called after each epoch; its metrics are `state.history[-1]`.
        stop: called after each step; True ends training there. Calling `train` again with the
            returned state resumes as if it had never stopped.

    Returns:
        The state after the last step.

    Raises:
        UsageError: if `data` is not a Dataset.
        DataError: if the data has values that the likelihood cannot take.
        TrainingError: if the bound or a gradient is not finite, and no lower learning rate helped.
            Model and state are then the last good ones.
        TrainingInterrupted: at Ctrl-C, after the current step; it holds the state to resume from.
    """
    require_dataset(data)
    device, dtype = prepare(config)
    model.require_events(data.event_shape)
    require_support(model.likelihood.density, data.train, data.identity.source)
    if state is None:
        measure(model, data.train)
    model.to(device).train()
    state = state or new_state(model)
    state.totals = state.totals.to(device)
    part = data.train.to(device)
    plain, schedule = Step(model, part, state.optimiser, objective, dtype), Schedule(config, part)
    step, rollback = fastest_step(plain, config), Rollback(plain, schedule, state)
    _warn_if_warmup_does_not_end(config, objective)
    last_step, stopped = config.resolved_epochs * schedule.steps_per_epoch, stop()
    first_step = state.step
    clock, images = time.perf_counter(), 0

    restored = _evaluation_mode_after(model), _global_random_state(model)
    with restored[0], restored[1], deferred_interrupt() as interrupted:
        while state.step < last_step and not (stopped or out_of_patience(state.history, config)):
            for number in rollback.steps_until_check():
                rows, rate, warmup = schedule.step(number)
                restart(step.noise, config.seed, "step", number)
                if model.draws_globally:
                    torch.manual_seed(step.noise.initial_seed())
                state.totals += step(rows, state.learning_rate_scale * rate, warmup)
                state.step += 1
                images += len(rows)
                if not schedule.ends_epoch(state.step):
                    on_step(state)
                if stopped := stop() or interrupted():
                    break
            if not rollback.check() or not schedule.ends_epoch(state.step):
                continue
            means = (state.totals / len(part)).tolist()
            speed = images / (time.perf_counter() - clock)
            state.history.append(
                _epoch_metrics(model, data, objective, schedule, state, means, speed)
            )
            state.totals.zero_()
            ended = state.step == last_step or out_of_patience(state.history, config)
            keep_best(model, state, config, ended=ended)
            on_epoch(state)
            warn_of_symptoms(state.history, config, data.held_out[0], data.noun)
            clock, images = time.perf_counter(), 0
        if interrupted():
            raise TrainingInterrupted(state)
    if not stopped and state.step > first_step:
        warn_if_below_baseline(model.likelihood, data, state.history, config)
    return state


@contextmanager
def _evaluation_mode_after(model: VAE) -> Iterator[None]:
    """Leave the model in evaluation mode, also after an error: its last good weights are usable."""
    try:
        yield
    finally:
        model.eval()


def _global_random_state(model: VAE) -> AbstractContextManager[None]:
    """Restore PyTorch's global random state after training that seeds it at each step."""
    devices = range(torch.cuda.device_count())
    return torch.random.fork_rng(devices=devices, enabled=model.draws_globally)


def _epoch_metrics(
    model: VAE,
    data: Dataset,
    objective: ObjectiveConfig,
    schedule: Schedule,
    state: TrainState,
    means: list[float],
    speed: float,
) -> EpochMetrics:
    (value, reconstruction, kl), config = means, schedule.config
    epoch, progress = schedule.epoch_of(state.step - 1), (state.step - 1) / schedule.steps_per_epoch
    due = epoch % config.evaluate_every == 0 or epoch == config.resolved_epochs
    return EpochMetrics(
        epoch=epoch,
        step=state.step,
        elbo=reconstruction - kl,
        reconstruction=reconstruction,
        kl=kl,
        bound=value,
        beta=objective.beta * kl_warmup(config, epoch),
        learning_rate=state.learning_rate_scale * learning_rate(config, progress),
        held_out_elbo=held_out_elbo(model, data.held_out[1], config, epoch - 1) if due else None,
        images_per_second=speed,
    )


def held_out_elbo(model: VAE, part: Part, config: TrainConfig, epoch: int) -> float:
    """Return the mean ELBO of `part` in nats per image: one sample each, in training precision."""
    device, dtype = prepare(config)
    generator = stream(config.seed, "held-out", epoch, device=device)
    total, training = 0.0, model.training
    model.eval()
    for rows in torch.arange(len(part)).split(_EVALUATION_BATCH):
        x = part.batch(rows.to(part.device), generator)
        with torch.no_grad(), autocast(dtype, device):
            found = bound(model, x, part.seen(x), config=ELBO, generator=generator)
            total += found.elbo.sum().item()
    model.train(training)
    return total / len(part)


def _warn_if_warmup_does_not_end(config: TrainConfig, objective: ObjectiveConfig) -> None:
    if config.warmup > (epochs := config.resolved_epochs):
        beta = objective.beta * kl_warmup(config, epochs)
        warnings.warn(
            f"training ends at β = {beta:.2g}, before the end of the warm-up, so its objective is "
            f"not a bound on log p(x). Use --warmup {epochs} or less, or more --epochs.",
            stacklevel=3,
        )
