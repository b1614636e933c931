"""Autosave: metrics, periodic checkpoints and the best state of a run in training."""

import math
import time
import warnings

from elboroom.errors import DiskError
from elboroom.model.vae import VAE
from elboroom.runs.checkpoints import Checkpoint, best_held_out_elbo, capture
from elboroom.runs.run import Run
from elboroom.training.state import TrainState


class Autosave:
    """The saver of a run while `model` is trained.

    The best state by held-out ELBO since the last checkpoint waits in memory and is written with
    the next one. Every checkpoint on disk is therefore accompanied by the best of all epochs before
    it, at the price of at most two writes each time.

    Only saving depends on the clock; training does not. The model and the state are only read.

    Args:
        run: run to save, whose options give the times between checkpoints.
        model: model in training.
        state: state that training starts from; it is not written again if it is on disk.
    """

    def __init__(self, run: Run, model: VAE, state: TrainState) -> None:
        self._run, self._model, self._options = run, model, run.config.checkpoints
        self._saved = _identity(state) if state.step else None
        self._last_time = time.monotonic()
        self._best: Checkpoint | None = None
        self._best_elbo = best_held_out_elbo(run.checkpoints, state.step)

    def on_epoch(self, state: TrainState) -> None:
        """Record an epoch, and save if that is due."""
        metrics = state.history[-1]
        self._run.metrics.record(metrics)
        elbo = metrics.held_out_elbo
        if elbo is not None and math.isfinite(elbo) and elbo > self._best_elbo:
            self._best, self._best_elbo = capture(self._model, state), elbo
        epochs = self._options.checkpoint_epochs
        if self._is_due() or (epochs is not None and metrics.epoch % epochs == 0):
            self.save_if_possible(state)

    def on_step(self, state: TrainState) -> None:
        """Save within an epoch, if that is due and all weights are finite.

        If they are not finite, training rolls back before them at its next check.
        """
        if self._is_due() and all(p.isfinite().all() for p in self._model.parameters()):
            self.save_if_possible(state)

    def save(self, state: TrainState) -> None:
        """Write the best state that waits, and a checkpoint of this state.

        Raises:
            DiskError: if that fails. The best state goes on waiting.
        """
        if self._best is not None and self._best.step != state.step:
            self._run.write_checkpoint(self._best)
        if self._saved != _identity(state):
            self._run.write_checkpoint(capture(self._model, state))
        self._best, self._saved, self._last_time = None, _identity(state), time.monotonic()

    def save_if_possible(self, state: TrainState) -> None:
        """Save; only warn on failure, because training is worth more than one checkpoint."""
        try:
            self.save(state)
        except DiskError as error:
            self._last_time = time.monotonic()
            warnings.warn(
                f"step {state.step:,} could not be saved, and training goes on: "
                f"{error.what}: {error.why}",
                stacklevel=2,
            )

    def _is_due(self) -> bool:
        return time.monotonic() - self._last_time > 60 * self._options.checkpoint_minutes


def _identity(state: TrainState) -> tuple[int, int]:
    """Return the step and the rollbacks, which together identify a state of a run."""
    return state.step, state.rollbacks
