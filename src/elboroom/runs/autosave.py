"""What is kept of a run while it is trained: metrics, checkpoints when they are due, the best."""

import math
import time
import warnings

from elboroom.errors import DiskError
from elboroom.model.vae import VAE
from elboroom.runs.checkpoints.checkpoint import Checkpoint, capture
from elboroom.runs.run import Run
from elboroom.training.state import TrainState


class Autosave:
    """Keeps a run on disk while `model` is trained.

    The best state by held-out ELBO since the last checkpoint waits in memory and is written with
    the next one. So the best of all epochs up to a checkpoint is on disk beside it, at the price of
    two checkpoints at the most each time that one is due.

    What is due is asked of the clock, what is trained is not: model and state are only read.

    Args:
        run: whose options say how often.
        model: in training.
        state: where training starts from; what is on disk already is not written again.
    """

    def __init__(self, run: Run, model: VAE, state: TrainState) -> None:
        self._run, self._model, self._often = run, model, run.config.checkpoints
        self._saved, self._clock = _mark(state) if state.step else None, time.monotonic()
        self._best: Checkpoint | None = None
        self._best_elbo = run.best_held_out_elbo(state.step)

    def on_epoch(self, state: TrainState) -> None:
        """Record an epoch, and save if it is time to."""
        metrics = state.history[-1]
        self._run.record(metrics)
        elbo = metrics.held_out_elbo
        if elbo is not None and math.isfinite(elbo) and elbo > self._best_elbo:
            self._best, self._best_elbo = capture(self._model, state), elbo
        epochs = self._often.checkpoint_epochs
        if self._is_late() or (epochs is not None and metrics.epoch % epochs == 0):
            self.save_if_possible(state)

    def on_step(self, state: TrainState) -> None:
        """Save within an epoch, if it is time to, and the model is one that can be used.

        Where its weights are not finite, training will go back before them at its next look.
        """
        if self._is_late() and all(p.isfinite().all() for p in self._model.parameters()):
            self.save_if_possible(state)

    def save(self, state: TrainState) -> None:
        """Write the best state that waits, and a checkpoint of this one.

        Raises:
            DiskError: that fails. What waits goes on waiting.
        """
        if self._best is not None and self._best.step != state.step:
            self._run.keep(self._best)
        if self._saved != _mark(state):
            self._run.save(self._model, state)
        self._best, self._saved, self._clock = None, _mark(state), time.monotonic()

    def save_if_possible(self, state: TrainState) -> None:
        """As `save`, but warn where that fails: training is worth more than one checkpoint."""
        try:
            self.save(state)
        except DiskError as error:
            self._clock = time.monotonic()
            warnings.warn(
                f"step {state.step:,} could not be saved, and training goes on: "
                f"{error.what}: {error.why}",
                stacklevel=2,
            )

    def _is_late(self) -> bool:
        return time.monotonic() - self._clock > 60 * self._often.checkpoint_minutes


def _mark(state: TrainState) -> tuple[int, int]:
    """What tells one state of a run from all others: a rollback leads to a step once more."""
    return state.step, state.rollbacks
