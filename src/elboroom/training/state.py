"""The training state: all that a run needs to resume bit for bit."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from elboroom.config import TrainConfig
from elboroom.errors import UsageError, require_instance
from elboroom.html_table import Shown, Summary
from elboroom.model.vae import VAE
from elboroom.training.average import Average
from elboroom.training.metrics import EpochMetrics, History
from elboroom.training.optimisers import OPTIMISER_CLASSES, AdamW, Optimiser, new_optimiser
from elboroom.training.time_plan import TimePlan

_BACKOFF = 0.5  # factor of the learning rate for each rollback
_DEFAULTS = TrainConfig()
AVERAGE = "average:"
"""The beginning of the names of an average's tensors."""


@dataclass(frozen=True)
class Snapshot:
    """A copy of `mutable_tensors`, or of the weights alone, before step number `step`."""

    step: int
    tensors: dict[str, Tensor]


@dataclass(repr=False)
class TrainState(Shown):
    """All that a run needs, besides the model's weights, to resume bit for bit.

    Attributes:
        optimiser: the optimiser over the model's parameters, with its moments.
        step: number of steps taken.
        totals: (3,), bound, reconstruction and KL in nats, summed over the images of the current
            epoch.
        history: metrics of the finished epochs.
        rollbacks: number of times that training was rolled back.
        last_good: the state that a rollback restores; None if it is this one.
        best: weights and buffers of the largest held-out ELBO, where they are to be kept.
        average: the moving average of the weights, if there is one. After training the model holds
            the average, and this the weights that training goes on from.
        skipped: (2,), the skipped steps of the current epoch and their images, if steps may be
            skipped.
        plan: the plan of a training by time.
        seconds: seconds that a training by time has used.

    Example:
        >>> state.step, len(state.history)  # 5 epochs of 36 steps
        (180, 5)
        >>> state = train(model, data, replace(brief, epochs=6), state=state)  # goes on
        >>> state.step, len(state.history)
        (216, 6)
    """

    optimiser: Optimiser
    step: int = 0
    totals: Tensor = field(default_factory=lambda: torch.zeros(3))
    history: list[EpochMetrics] = field(default_factory=History)
    rollbacks: int = 0
    last_good: Snapshot | None = None
    best: Snapshot | None = None
    average: Average | None = None
    skipped: Tensor | None = None
    plan: TimePlan | None = None
    seconds: float = 0.0

    @property
    def learning_rate_scale(self) -> float:
        """The factor of the learning rate: ½ for each rollback."""
        return _BACKOFF**self.rollbacks

    def _summary(self) -> Summary:
        facts = {
            "epochs": f"{len(self.history):,}",
            "optimiser": type(self.optimiser).__name__,
            "rollbacks": self.rollbacks or None,
            "average of the weights": self.average and f"decay {self.average.decay:g}",
            "seconds": f"{self.seconds:,.0f}" if self.plan else None,
        }
        metrics = [History(self.history).table()] if self.history else []
        return Summary(f"after step {self.step:,}", facts, metrics)


def new_state(model: VAE, config: TrainConfig = _DEFAULTS) -> TrainState:
    """Return the state before the first step.

    Args:
        model: the model that will be trained.
        config: options of training, among them the optimiser.

    Raises:
        UsageError: the model has nothing to train.

    Example:
        >>> from elboroom.training import new_state
        >>> fresh = VAE.from_config(networks, data.event_shape, generator=generator)
        >>> first = new_state(fresh, replace(brief, epochs=1))
        >>> first.step, first.history
        (0, [])
        >>> train(fresh, data, replace(brief, epochs=1), state=first).step
        36
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(
            "this model has nothing to train",
            why="none of its parameters requires a gradient",
            fix="use model.requires_grad_(True), or networks that have parameters",
        )
    return TrainState(
        new_optimiser(model, config),
        average=Average(model, config.ema) if config.ema else None,
        skipped=None if config.skip is None else _no_steps(model),
        plan=None if config.minutes is None else TimePlan(config.minutes),
    )


def _no_steps(model: VAE) -> Tensor:
    return torch.zeros(2, dtype=torch.int64, device=next(model.parameters()).device)


def moments(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """Return the optimiser's moments and counts (not copies) by PARAMETER|MOMENT."""
    return {
        f"{name}|{moment}": value
        for name, parameter in model.named_parameters()
        for moment, value in state.optimiser.state.get(parameter, {}).items()
    }


def options_tensors(state: TrainState) -> dict[str, Tensor]:
    """Return what a state holds (not copies) for those options that are used."""
    found = {} if state.skipped is None else {"skipped": state.skipped}
    if state.average is not None:
        named = {f"{AVERAGE}{name}": value for name, value in state.average.tensors.items()}
        found |= {"averaged steps": state.average.steps, **named}
    return found


def mutable_tensors(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """Return all tensors that a step changes (not copies).

    They are weights, buffers, moments and totals, and with some options an average and counts.
    """
    weights = model.state_dict()
    return {**weights, **moments(model, state), "totals": state.totals, **options_tensors(state)}


@contextmanager
def restored(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Give these tensors back their present values after this block."""
    kept = [(tensor, tensor.clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)


def require_state(state: object, model: VAE, config: TrainConfig, steps_per_epoch: int) -> None:
    """Check that a state is of the training of a model, with some number of steps an epoch.

    Raises:
        UsageError: if it is no state, or that of another model, other data, another batch size,
            or of another optimiser, average or skipping.
    """
    fix = "give what `train` returned, or the state of `Run.load_training`"
    require_instance("state", state, TrainState, fix=fix)
    assert isinstance(state, TrainState)
    _require_moments(state, [p for p in model.parameters() if p.requires_grad])
    _require_options(state, config)
    _require_steps(state, config, steps_per_epoch)


def _require_moments(state: TrainState, trained: list[nn.Parameter]) -> None:
    """Check that a state has moments of each parameter that is trained."""
    found = sum(parameter in state.optimiser.state for parameter in trained)
    if found < len(trained):
        raise UsageError(
            "this state is of another model",
            why=f"found moments for {found} of the model's {len(trained)} parameters",
            fix="give the model that was trained with this state: Run.load_training(data) loads "
            "both, and copy.deepcopy((model, state)) copies both",
        )


def _require_options(state: TrainState, config: TrainConfig) -> None:
    """Check that a state has what the options of its training need, and nothing else."""
    optimiser, average = state.optimiser, state.average
    found = {
        "optimiser": next(n for n, kind in OPTIMISER_CLASSES.items() if kind is type(optimiser)),
        "weight_decay": optimiser.weight_decay if isinstance(optimiser, AdamW) else 0.0,
        "ema": 0.0 if average is None else average.decay,
        "skip": "None" if state.skipped is None else "a number",
        "minutes": None if state.plan is None else state.plan.minutes,
    }
    wanted = {name: getattr(config, name) for name in found}
    wanted["skip"] = "None" if config.skip is None else "a number"
    other = [f"{n} {found[n]}; expected {wanted[n]}" for n in found if found[n] != wanted[n]]
    if other:
        raise UsageError(
            "this state is of a training with other options",
            why=f"found {', and '.join(other)}",
            fix="give the options that the training began with, or omit the state: a new training "
            "starts from the model's weights",
        )


def _require_steps(state: TrainState, config: TrainConfig, steps_per_epoch: int) -> None:
    """Check that the epochs of a state had this number of steps.

    One that fits is enough, since a run whose metrics are damaged goes on, too.
    """
    epochs = state.history
    if epochs and not any(ends_fittingly(m, steps_per_epoch, config) for m in epochs):
        last = epochs[-1]
        raise UsageError(
            "this state is of a training on other data, or with another batch size",
            why=f"found epoch {last.epoch} after step {last.step:,}; "
            f"expected {steps_per_epoch:,} steps an epoch",
            fix="give the data and the batch size that the training began with, or omit the "
            "state: a new training starts from the model's weights",
        )


def ends_fittingly(metrics: EpochMetrics, steps_per_epoch: int, config: TrainConfig) -> bool:
    """Return whether an epoch with this number of steps can have ended where its metrics say.

    A training by time may end within its last epoch.
    """
    whole = metrics.epoch * steps_per_epoch
    may_be_partial = config.minutes is not None and metrics.progress == 1
    return metrics.step == whole or (
        may_be_partial and whole - steps_per_epoch < metrics.step < whole
    )
