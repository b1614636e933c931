"""Rollback: training returns to the last finite state, with a lower learning rate.

Checking waits for the device, so there is one check for many steps. All decisions follow from the
step number and the state, so a resumed run rolls back as the uninterrupted run would have.
"""

import warnings
from typing import cast

import torch

from elboroom.errors import TrainingError
from elboroom.training.safeguards.agreement import restore_agreement
from elboroom.training.safeguards.nonfinite import Fault, first_nonfinite_step
from elboroom.training.schedule import Schedule
from elboroom.training.state import Snapshot, TrainState, moments, mutable_tensors
from elboroom.training.step import Step

STEPS_BETWEEN_CHECKS = 100
MOST_ROLLBACKS = 5


class Rollback:
    """The last good state of a run, and the checks that return to it.

    Args:
        step: an uncompiled step of the run's model, which finds the first non-finite step.
        schedule: what each step is taken with.
        state: the training state, changed in place.
    """

    def __init__(self, step: Step, schedule: Schedule, state: TrainState) -> None:
        self.step, self.schedule, self.state = step, schedule, state
        self._mutable, self._begin = mutable_tensors(step.model, state), state.last_good
        # A non-finite gradient stays in its moments, and a non-finite bound in the totals. Weights
        # follow from the moments, so they need no check of their own.
        self._checked = {"the bound": state.totals, **moments(step.model, state)}

    def steps_until_check(self) -> range:
        """Return the numbers of the steps up to the next check, and remember the state before."""
        state = self.state
        if state.last_good is None:
            copies = {name: tensor.clone() for name, tensor in self._mutable.items()}
            state.last_good = Snapshot(state.step, copies)
        self._begin = state.last_good
        return range(state.step, self._next_check(state.step))

    def check(self) -> bool:
        """Return whether all is finite; if not, restore the last good state at half the rate.

        Raises:
            TrainingError: if no rollback can help, or all are used up, or if every step since the
                last check was skipped. The last good state is restored.
        """
        if not self._is_finite():
            self._roll_back()
            return False
        restore_agreement(self._mutable, self.step.world)
        if self.state.step == self._next_check(self._last_good.step):
            self._require_steps_taken()
            self.state.last_good = None
        return True

    def undo(self) -> None:
        """Return to the state before the last steps, in the midst of which training was ended.

        It is whole, and a hundred steps back at most. Training takes the same steps from there.
        """
        if self._begin is None:
            return  # no step was taken
        self.state.last_good = self._begin
        self._restore()
        self.state.last_good = None
        if self.state.average is not None:
            self.state.average.in_model = False
        metrics = self.state.history
        metrics[:] = [m for m in metrics if m.step <= self.state.step]

    @property
    def _last_good(self) -> Snapshot:
        return cast(Snapshot, self.state.last_good)  # set by steps_until_check

    def _next_check(self, step: int) -> int:
        """Return the step of the next check: every hundred of an epoch, and at its end.

        An epoch ends with a check because its metrics are recorded there.
        """
        epoch, place = divmod(step, self.schedule.steps_per_epoch)
        place += STEPS_BETWEEN_CHECKS - place % STEPS_BETWEEN_CHECKS
        return epoch * self.schedule.steps_per_epoch + min(place, self.schedule.steps_per_epoch)

    def _is_finite(self) -> bool:
        # One stacked sum, so that the device is waited for only once.
        sums = torch.stack([tensor.sum() for tensor in self._checked.values()])
        return bool(sums.isfinite().all())

    def _require_steps_taken(self) -> None:
        """Raise if all of a hundred steps, or of a shorter epoch, were skipped."""
        skipping, good, end = self.step.skipping, self._last_good, self.state.step
        steps = end - good.step
        few = steps < min(STEPS_BETWEEN_CHECKS, self.schedule.steps_per_epoch)
        if skipping is None or few:
            return
        skipped = skipping.counts[0] - good.tensors["skipped"][0]
        if int(skipped) == steps:
            self._restore()  # a run that is resumed does not count these steps
            self.state.last_good = None
            raise TrainingError(
                f"every step from {good.step:,} to {end - 1:,} was skipped",
                why=f"the norm of their gradients was above --skip {skipping.limit:g}, or not "
                f"finite; that of the last was {skipping.norm.item():.4g}",
                fix="train a new run with a larger --skip, or with a lower --learning-rate",
            )

    def _roll_back(self) -> None:
        end, not_reproduced = self.state.step, self._not_reproduced()
        self._restore()
        found = first_nonfinite_step(self.step, self.schedule, self.state, end)
        fault = found or not_reproduced
        self._restore()
        self.state.last_good = None
        _require_recoverable(self.state, fault)
        self.state.rollbacks += 1
        warnings.warn(
            f"{fault}. Training continues from step {self.state.step:,} with "
            f"{self.state.learning_rate_scale:g} of its learning rate: rollback "
            f"{self.state.rollbacks} of {MOST_ROLLBACKS}.",
            stacklevel=2,
        )

    def _restore(self) -> None:
        """Restore the last good state in place, because a CUDA graph reads fixed addresses."""
        self.state.step = self._last_good.step
        for name, tensor in self._mutable.items():
            tensor.copy_(self._last_good.tensors[name])

    def _not_reproduced(self) -> Fault:
        """Describe the fault for the case that uncompiled steps, rounding otherwise, are finite."""
        wrong = [name for name, tensor in self._checked.items() if not tensor.sum().isfinite()]
        repeated = "though every step was finite when it was repeated"
        what = f"{wrong[0].replace('|', ' ')} is not finite, {repeated}"
        return Fault(self.state.step, self.schedule.epoch_of(self.state.step - 1), what)


def _require_recoverable(state: TrainState, fault: Fault) -> None:
    """Raise if a lower rate cannot help: the very first step fails, or no rollback is left."""
    if fault.step > state.step and state.rollbacks < MOST_ROLLBACKS:
        return
    used_up = state.rollbacks == MOST_ROLLBACKS
    tried = f"after {MOST_ROLLBACKS} rollbacks" if used_up else "whatever the learning rate"
    raise TrainingError(
        f"training cannot continue from step {state.step:,}",
        why=f"{fault}, {tried}",
        fix="look at those rows and that layer, or train a new run with a lower --learning-rate, "
        "a --warmup of the KL, or --precision fp32",
    )
