"""Training: a bound on log p(x), maximised by Adam. The loop is `train`, top to bottom."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from elboroom.adam import Adam
from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Part
from elboroom.device import autocast, prepare
from elboroom.errors import TrainingError
from elboroom.likelihoods import require_support
from elboroom.model import VAE
from elboroom.objectives import bound
from elboroom.randomness import restart, stream
from elboroom.step import Step, new_step
from elboroom.threads import threads_as_before

_EVALUATION_BATCH = 1_000
_RISE = 0.1  # of the steps, in which one-cycle climbs
ELBO = ObjectiveConfig()


@dataclass(frozen=True)
class EpochMetrics:
    """One finished epoch. Bound, ELBO and its terms are means over the epoch, nats per image.

    The bound is what was maximised, with the weight β of that time.
    """

    epoch: int
    step: int
    elbo: float
    reconstruction: float
    kl: float
    bound: float
    beta: float
    learning_rate: float
    held_out_elbo: float | None
    images_per_second: float


@dataclass
class TrainState:
    """With the model's weights, all that a run must remember to go on bit for bit.

    Attributes:
        optimiser: Adam over the model's parameters, with its moments.
        step: steps taken since the start.
        totals: (3,), bound, reconstruction and KL in nats, summed over the images of the running
            epoch.
        history: the finished epochs.
    """

    optimiser: Adam
    step: int = 0
    totals: Tensor = field(default_factory=lambda: torch.zeros(3))
    history: list[EpochMetrics] = field(default_factory=list)


def new_state(model: VAE) -> TrainState:
    """The state before the first step."""
    return TrainState(Adam(model.parameters()))


@threads_as_before()
def train(
    model: VAE,
    data: Dataset,
    config: TrainConfig,
    *,
    objective: ObjectiveConfig = ELBO,
    state: TrainState | None = None,
    on_epoch: Callable[[TrainState], None] = lambda state: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainState:
    """Maximise a bound on log p(x) of `data.train` by the parameters of `model`, in place.

    Args:
        model: trained in place, left on the device of `config` and in evaluation mode.
        data: the train part is fitted; the validation part, else the test part, is looked at.
        config: the options.
        objective: the bound; the ELBO with closed-form KL unless told.
        state: where to go on from; None starts anew.
        on_epoch: called after each epoch; its metrics are `state.history[-1]`.
        stop: asked after each step; True ends there. `train` with the returned state goes on as if
            it had never stopped.

    Returns:
        The state at the end.

    Raises:
        DataError: the data has values that the likelihood cannot take.
        TrainingError: the bound of an epoch is not finite.
    """
    device, dtype = prepare(config)
    model.to(device).train()
    state = state or new_state(model)
    state.totals = state.totals.to(device)
    part = data.train.to(device)
    step = new_step(Step(model, part, state.optimiser, objective, dtype), config)
    steps_per_epoch = math.ceil(len(part) / config.batch_size)
    require_support(model.likelihood, data.train, data.identity.source)
    _warn_of_warmup(config, objective)

    while state.step < config.epochs * steps_per_epoch and not stop():
        epoch, first = divmod(state.step, steps_per_epoch)
        clock = time.perf_counter()
        order = torch.randperm(len(part), generator=stream(config.seed, "order", epoch))
        for index in order.to(part.device).split(config.batch_size)[first:]:
            restart(step.noise, config.seed, "step", state.step)
            progress = state.step / steps_per_epoch
            state.totals += step(index, learning_rate(config, progress), warmth(config, progress))
            state.step += 1
            if stop():
                break
        if state.step % steps_per_epoch:
            break
        means = (state.totals / len(part)).tolist()  # waits for the device
        pace = (len(part) - first * config.batch_size) / (time.perf_counter() - clock)
        found = _epoch_metrics(model, data, config, objective, state, epoch, means, pace)
        state.history.append(found)
        state.totals.zero_()
        on_epoch(state)
    model.eval()
    return state


def _epoch_metrics(
    model: VAE,
    data: Dataset,
    config: TrainConfig,
    objective: ObjectiveConfig,
    state: TrainState,
    epoch: int,
    means: list[float],
    pace: float,
) -> EpochMetrics:
    value, reconstruction, kl = means
    if not math.isfinite(value + reconstruction - kl):
        raise TrainingError(
            f"the bound of epoch {epoch + 1} is not finite",
            why=f"its reconstruction term is {reconstruction:g}, its KL {kl:g}",
            fix="lower --learning-rate, or give the KL a --warmup of a few epochs",
        )
    last = (state.step - 1) / (state.step // (epoch + 1))  # step, in epochs
    due = (epoch + 1) % config.evaluate_every == 0 or epoch + 1 == config.epochs
    return EpochMetrics(
        epoch=epoch + 1,
        step=state.step,
        elbo=reconstruction - kl,
        reconstruction=reconstruction,
        kl=kl,
        bound=value,
        beta=objective.beta * warmth(config, epoch + 1),
        learning_rate=learning_rate(config, last),
        held_out_elbo=held_out_elbo(model, data.held_out[1], config, epoch) if due else None,
        images_per_second=pace,
    )


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Adam's step size after `progress` epochs.

    one-cycle is that of Smith & Topin, *Super-Convergence* (2018), with a cosine for its descent.
    """
    share, rise = progress / config.epochs, _RISE * (config.schedule == "one-cycle")
    if config.schedule == "constant":
        return config.learning_rate
    if share < rise:
        return config.learning_rate * share / rise
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (share - rise) / (1 - rise)))


def warmth(config: TrainConfig, progress: float) -> float:
    """How far β has risen after `progress` epochs: linear from 0 to 1 over the warm-up."""
    return min(1.0, progress / config.warmup) if config.warmup else 1.0


def held_out_elbo(model: VAE, part: Part, config: TrainConfig, epoch: int) -> float:
    """Mean ELBO of `part`, one sample an image, in the precision of training; nats per image."""
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


def _warn_of_warmup(config: TrainConfig, objective: ObjectiveConfig) -> None:
    if config.warmup > config.epochs:
        beta = objective.beta * warmth(config, config.epochs)
        warnings.warn(
            f"training ends at β = {beta:.2g}, before the warm-up does: "
            f"what it maximises is not a bound on log p(x). Use --warmup {config.epochs} or less, "
            "or more --epochs.",
            stacklevel=3,
        )
