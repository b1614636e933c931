"""The training state: all that a run needs to resume bit for bit."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from elboroom.errors import UsageError, require_instance
from elboroom.model.vae import VAE
from elboroom.training.adam import Adam

_BACKOFF = 0.5  # factor of the learning rate for each rollback


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of a finished epoch; bound, ELBO and its terms are means in nats per image.

    The bound is the one that was maximised, with the weight β that the epoch ended with.
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


@dataclass(frozen=True)
class Snapshot:
    """A copy of `mutable_tensors`, or of the weights alone, before step number `step`."""

    step: int
    tensors: dict[str, Tensor]


@dataclass
class TrainState:
    """All that a run needs, besides the model's weights, to resume bit for bit.

    Attributes:
        optimiser: Adam over the model's parameters, with its moments.
        step: number of steps taken.
        totals: (3,), bound, reconstruction and KL in nats, summed over the images of the current
            epoch.
        history: metrics of the finished epochs.
        rollbacks: number of times that training was rolled back.
        last_good: the state that a rollback restores; None if it is this one.
        best: weights and buffers of the largest held-out ELBO, where they are to be kept.
    """

    optimiser: Adam
    step: int = 0
    totals: Tensor = field(default_factory=lambda: torch.zeros(3))
    history: list[EpochMetrics] = field(default_factory=list)
    rollbacks: int = 0
    last_good: Snapshot | None = None
    best: Snapshot | None = None

    @property
    def learning_rate_scale(self) -> float:
        """The factor of the learning rate: ½ for each rollback."""
        return _BACKOFF**self.rollbacks


def new_state(model: VAE) -> TrainState:
    """Return the state before the first step.

    Raises:
        UsageError: the model has nothing to train.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(
            "this model has nothing to train",
            why="none of its parameters requires a gradient",
            fix="use model.requires_grad_(True), or networks that have parameters",
        )
    return TrainState(Adam(model.parameters()))


def moments(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """Return Adam's moments and counts (not copies) by PARAMETER|MOMENT."""
    return {
        f"{name}|{moment}": value
        for name, parameter in model.named_parameters()
        for moment, value in state.optimiser.state.get(parameter, {}).items()
    }


def mutable_tensors(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """Return all tensors that a step changes (not copies): weights, buffers, moments, totals."""
    return {**model.state_dict(), **moments(model, state), "totals": state.totals}


def require_state(state: object, model: VAE, steps_per_epoch: int) -> None:
    """Check that a state is of the training of a model, with some number of steps an epoch.

    Raises:
        UsageError: if it is no state, or that of another model, other data or another batch size.
    """
    fix = "give what `train` returned, or the state of `Run.load_training`"
    require_instance("state", state, TrainState, fix=fix)
    assert isinstance(state, TrainState)
    _require_moments(state, [p for p in model.parameters() if p.requires_grad])
    _require_steps(state, steps_per_epoch)


def _require_moments(state: TrainState, trained: list[nn.Parameter]) -> None:
    """Check that a state has moments of each parameter that is trained."""
    found = sum(parameter in state.optimiser.state for parameter in trained)
    if found < len(trained):
        raise UsageError(
            "this state is of another model",
            why=f"found Adam's moments for {found} of the model's {len(trained)} parameters",
            fix="give the model that was trained with this state: Run.load_training(data) loads "
            "both, and copy.deepcopy((model, state)) copies both",
        )


def _require_steps(state: TrainState, steps_per_epoch: int) -> None:
    """Check that the epochs of a state had this number of steps.

    One that fits is enough, since a run whose metrics are damaged goes on, too.
    """
    epochs = state.history
    if epochs and not any(m.step == m.epoch * steps_per_epoch for m in epochs):
        last = epochs[-1]
        raise UsageError(
            "this state is of a training on other data, or with another batch size",
            why=f"found epoch {last.epoch} after step {last.step:,}; "
            f"expected {steps_per_epoch:,} steps an epoch",
            fix="give the data and the batch size that the training began with, or omit the "
            "state: a new training starts from the model's weights",
        )
