"""What a run must remember to go on bit for bit: what its steps change, and its finished epochs."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from elboroom.model.vae import VAE
from elboroom.training.adam import Adam

_LOWERED = 0.5  # the learning rate, at each rollback


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


@dataclass(frozen=True)
class Snapshot:
    """A copy of all that steps change, as it was at `step`, by the names of `moving`."""

    step: int
    tensors: dict[str, Tensor]


@dataclass
class TrainState:
    """With the model's weights, all that a run must remember to go on bit for bit.

    Attributes:
        optimiser: Adam over the model's parameters, with its moments.
        step: steps taken since the start.
        totals: (3,), bound, reconstruction and KL in nats, summed over the images of the running
            epoch.
        history: the finished epochs.
        rollbacks: how often training went back to the last good state.
        good: that state; None where it is this one.
    """

    optimiser: Adam
    step: int = 0
    totals: Tensor = field(default_factory=lambda: torch.zeros(3))
    history: list[EpochMetrics] = field(default_factory=list)
    rollbacks: int = 0
    good: Snapshot | None = None

    @property
    def learning_rate_scale(self) -> float:
        """What the learning rate is multiplied by: ½ for each rollback."""
        return _LOWERED**self.rollbacks


def new_state(model: VAE) -> TrainState:
    """The state before the first step."""
    return TrainState(Adam(model.parameters()))


def moments(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """Adam's moments and counts themselves, each by PARAMETER|MOMENT."""
    return {
        f"{name}|{moment}": value
        for name, parameter in model.named_parameters()
        for moment, value in state.optimiser.state.get(parameter, {}).items()
    }


def moving(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """All that a step changes, itself and not a copy: weights, buffers, moments and totals."""
    return {**model.state_dict(), **moments(model, state), "totals": state.totals}
