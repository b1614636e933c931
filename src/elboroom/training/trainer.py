"""The trainer: steps between two checks, and the metrics of the epochs that they end."""

import time
from collections.abc import Callable

import torch

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Dataset
from elboroom.device import prepare, world
from elboroom.model.vae import VAE
from elboroom.training.average import averaged
from elboroom.training.held_out import held_out_elbo
from elboroom.training.metrics import EpochMetrics
from elboroom.training.safeguards.early_stopping import keep_best, out_of_patience
from elboroom.training.safeguards.rollback import Rollback
from elboroom.training.schedule import Schedule, kl_warmup, learning_rate, time_limits
from elboroom.training.speed.fast_steps import fastest_step
from elboroom.training.state import TrainState, mutable_tensors
from elboroom.training.step import Step
from elboroom.training.time_plan import TimePlan, plan_of_first


class Trainer:
    """A model in training, and what its next step follows from.

    Args:
        model: the model, in training mode on the device of `config`; changed in place.
        data: its train part is fitted, its held-out part evaluated.
        config: options of training.
        objective: the bound that is maximised.
        state: the state of the model, changed in place.
    """

    def __init__(
        self,
        model: VAE,
        data: Dataset,
        config: TrainConfig,
        objective: ObjectiveConfig,
        state: TrainState,
    ) -> None:
        self._began = time.perf_counter() - state.seconds
        device, dtype = prepare(config)
        state.totals, part = state.totals.to(device), data.train.to(device)
        self.model, self.data, self.config, self.state = model, data, config, state
        self.objective, self.schedule = objective, Schedule(config, part, state.plan)
        if state.skipped is not None:
            state.skipped = state.skipped.to(device)
        world().take_first(mutable_tensors(model, state).values())
        self._plain = Step(model, part, state, config, objective, dtype)
        steps = self.schedule.steps if state.plan is None else state.plan.first_end
        self._step = fastest_step(self._plain, state, config, steps)
        self._rollback = Rollback(self._plain, self.schedule, state)
        self._images, self._clock, self._is_whole = 0, 0.0, True

    @property
    def ended(self) -> bool:
        """True after the last step, or without a new best for too long."""
        return self._is_over or out_of_patience(self.state.history, self.config)

    @property
    def _is_over(self) -> bool:
        """True after the last step."""
        return self.state.step >= self.schedule.steps

    @property
    def share(self) -> float:
        """The share of the training that has passed, in [0, 1]."""
        return self.schedule.progress_after(self.state.step).share

    def take_steps(self, on_step: Callable[[TrainState], None], stop: Callable[[], bool]) -> bool:
        """Take the steps up to the next check, and return whether `stop` ended them before.

        Args:
            on_step: called after each step that ends neither an epoch nor the training.
            stop: called after each step; True ends the steps there, or with several processes two
                steps later on all of them.
        """
        if not self._images:
            self._clock = time.perf_counter()
        for number in self._rollback.steps_until_check():
            self._take_step(number)
            if not self._is_recorded:
                on_step(self.state)
            if self._must_stop(stop()):
                return True
            if self._is_over:
                break
        return False

    @property
    def _is_recorded(self) -> bool:
        """True after the last step of an epoch or of the training, whose metrics are recorded."""
        return self.schedule.ends_epoch(self.state.step) or self._is_over

    def undo_half_done(self) -> None:
        """Return to a whole state if a step, or the end of an epoch, was cut short."""
        if not self._is_whole:
            self._rollback.undo()

    def close(self) -> None:
        """Leave the model to others; no step can be taken any more."""
        if self._plain.parallel is not None:
            self._plain.parallel.close()

    def _must_stop(self, asked: bool) -> bool:
        parallel = self._plain.parallel
        return asked if parallel is None else parallel.agrees_to_stop(asked)

    def _take_step(self, number: int) -> None:
        self._is_whole = False
        rows, rate, warmup, augments = self.schedule.step(number)
        noise, state = self._step.noise, self.state
        self._plain.restart(number)
        if self.model.draws_globally:
            torch.manual_seed(noise.initial_seed())
        state.totals += self._step(rows, state.learning_rate_scale * rate, warmup, augments)
        state.step += 1
        self._images += len(rows)
        self._is_whole = True
        if state.plan is not None:
            self._review(state.plan)

    def _review(self, plan: TimePlan) -> None:
        """Measure the time, and plan the rest of the training anew if that is due."""
        state, part = self.state, self._plain.part
        if state.step >= plan.review and part.device.type != "cpu":
            torch.accelerator.synchronize(part.device)  # steps are queued there
        state.seconds = time.perf_counter() - self._began
        if state.step < plan.review or self._is_over:
            return
        limits = time_limits(self.config, self.data)
        mine = plan.revised(state.step, state.seconds, **limits)
        state.plan = self.schedule.plan = plan_of_first(mine)

    def finish_epoch(self) -> bool:
        """Record the metrics of an epoch, if it or the training ends here with finite numbers.

        If the numbers are not finite, return to the last good state instead. After the last epoch
        the model returns to its best weights, if they are kept.

        Returns:
            True if an epoch was finished.

        Raises:
            TrainingError: if the numbers are not finite, and no lower learning rate helped.
        """
        self._is_whole = False
        recorded = self._rollback.check() and self._is_recorded
        if recorded:
            self._record()
        self._is_whole = True
        return recorded

    def _record(self) -> None:
        """Record the metrics of an epoch, and keep its weights if they are the best."""
        self.state.history.append(self._metrics())
        self.state.totals.zero_()
        if self.state.skipped is not None:
            self.state.skipped.zero_()
        self._images = 0
        keep_best(self.model, self.state, self.config, ended=self.ended)

    def _metrics(self) -> EpochMetrics:
        state, config, schedule = self.state, self.config, self.schedule
        steps, images = [0, 0] if state.skipped is None else state.skipped.tolist()
        counted = schedule.images_since_epoch(state.step) - images
        value, reconstruction, kl = (state.totals / counted).tolist()
        speed = self._images / (time.perf_counter() - self._clock)
        epoch = schedule.epoch_of(state.step - 1)
        last, now = (schedule.progress_after(n) for n in (state.step - 1, state.step))
        return EpochMetrics(
            epoch=epoch,
            step=state.step,
            elbo=reconstruction - kl,
            reconstruction=reconstruction,
            kl=kl,
            bound=value,
            beta=self.objective.beta * kl_warmup(config, now),
            learning_rate=state.learning_rate_scale * learning_rate(config, last),
            held_out_elbo=self._held_out_elbo(epoch),
            images_per_second=speed,
            skipped=steps,
            progress=now.share,
        )

    def _held_out_elbo(self, epoch: int) -> float | None:
        """Return the held-out ELBO after an epoch; None if it is not due."""
        if epoch % self.config.evaluate_every and not self._is_over:
            return None
        with averaged(self.state.average):
            return held_out_elbo(self.model, self.data.held_out[1], self.config, epoch - 1)
