"""The guard of a run: it looks whether all is finite, and goes back to where it last was.

A look waits for the device, so there is one every so many steps. All that it decides follows from
the step and the state, so that a run and its resumption go back alike.
"""

import warnings
from typing import cast

import torch

from elboroom.errors import TrainingError
from elboroom.training.safeguards.nonfinite import Fault, first_nonfinite_step
from elboroom.training.schedule import Schedule
from elboroom.training.state import Snapshot, TrainState, moments, moving
from elboroom.training.step import Step

STEPS_BETWEEN_LOOKS = 100
MOST_ROLLBACKS = 5


class Rollback:
    """Keeps the last good state of a run.

    Args:
        step: as it stands, of the run's model; it finds the first step that went wrong.
        schedule: what the steps do.
        state: of the run.
    """

    def __init__(self, step: Step, schedule: Schedule, state: TrainState) -> None:
        self.step, self.schedule, self.state = step, schedule, state
        self._moving = moving(step.model, state)
        # what is not finite in a gradient stays in its moments, in a bound in the totals; weights
        # follow the moments
        self._looked_at = {"the bound": state.totals, **moments(step.model, state)}

    def steps_until_check(self) -> range:
        """The steps from here to the next look. What they start from is remembered."""
        state = self.state
        if state.good is None:
            copies = {name: tensor.clone() for name, tensor in self._moving.items()}
            state.good = Snapshot(state.step, copies)
        return range(state.step, self._look_after(state.step))

    def check(self) -> bool:
        """Whether all is finite; else the state is the last good one, to go on at half the rate.

        Raises:
            TrainingError: there were too many rollbacks, or none can help. The state is good.
        """
        if not self._is_finite():
            self._go_back()
            return False
        if self.state.step == self._look_after(self._good.step):
            self.state.good = None
        return True

    @property
    def _good(self) -> Snapshot:
        return cast(Snapshot, self.state.good)  # a look comes after a stretch

    def _look_after(self, step: int) -> int:
        """Looks are so many steps apart in each epoch, and at its end, where it is recorded."""
        epoch, place = divmod(step, self.schedule.steps_per_epoch)
        place += STEPS_BETWEEN_LOOKS - place % STEPS_BETWEEN_LOOKS
        return epoch * self.schedule.steps_per_epoch + min(place, self.schedule.steps_per_epoch)

    def _is_finite(self) -> bool:
        # all in one, so that the device is waited for once
        sums = torch.stack([tensor.sum() for tensor in self._looked_at.values()])
        return bool(sums.isfinite().all())

    def _go_back(self) -> None:
        end, unseen = self.state.step, self._unseen()
        self._restore()
        fault = first_nonfinite_step(self.step, self.schedule, self.state, end) or unseen
        self._restore()
        self.state.good = None
        _require_recoverable(self.state, fault)
        self.state.rollbacks += 1
        warnings.warn(
            f"{fault}. Training goes on from step {self.state.step:,} with "
            f"{self.state.learning_rate_scale:g} of its learning rate: rollback "
            f"{self.state.rollbacks} of {MOST_ROLLBACKS}.",
            stacklevel=2,
        )

    def _restore(self) -> None:
        """In place: a recorded step reads its parameters where they were."""
        self.state.step = self._good.step
        for name, tensor in self._moving.items():
            tensor.copy_(self._good.tensors[name])

    def _unseen(self) -> Fault:
        """What is known where the steps, taken again, go well: compiled, they round otherwise."""
        wrong = [name for name, tensor in self._looked_at.items() if not tensor.sum().isfinite()]
        again = "though the steps went well when they were taken again"
        what = f"{wrong[0].replace('|', ' ')} is not finite, {again}"
        return Fault(self.state.step, self.schedule.epoch_of(self.state.step - 1), what)


def _require_recoverable(state: TrainState, fault: Fault) -> None:
    """That another rate may lead elsewhere: it has no part in the first step from here."""
    if fault.step > state.step and state.rollbacks < MOST_ROLLBACKS:
        return
    many = state.rollbacks == MOST_ROLLBACKS
    tried = f"after {MOST_ROLLBACKS} rollbacks" if many else "whatever the learning rate"
    raise TrainingError(
        f"training cannot go on from step {state.step:,}",
        why=f"{fault}, {tried}",
        fix="look at those images and that layer, or train anew with a lower --learning-rate, "
        "a --warmup of the KL, or --precision fp32",
    )
