"""The best held-out ELBO: its weights are kept, and training ends early without a new one."""

import math
from collections.abc import Sequence

from elboroom.config import TrainConfig
from elboroom.model.vae import VAE
from elboroom.training.average import averaged
from elboroom.training.metrics import EpochMetrics
from elboroom.training.schedule import augments, kl_warmup, progress_after
from elboroom.training.state import Snapshot, TrainState

Evaluated = list[tuple[EpochMetrics, float]]


def evaluations_after_warmup(history: Sequence[EpochMetrics], config: TrainConfig) -> Evaluated:
    """Return the epochs with a held-out ELBO from the end of the warm-up on, each with its ELBO.

    While β rises the objective changes, so earlier ELBOs are not comparable. NaN counts as −∞.
    """
    return [
        (m, -math.inf if math.isnan(m.held_out_elbo) else m.held_out_elbo)
        for m in history
        if m.held_out_elbo is not None and kl_warmup(config, progress_after(m, config)) == 1
    ]


def out_of_patience(history: Sequence[EpochMetrics], config: TrainConfig) -> bool:
    """Return whether the last `config.patience` evaluations brought no new best; False if None.

    The decision reads only the history, so a resumed run ends where the uninterrupted one would.
    While images are moved that later are not, it is too early to end.
    """
    evaluated = evaluations_after_warmup(history, config) if config.patience else []
    elbos = [elbo for m, elbo in evaluated if _is_last_objective(m, config)]
    since = config.patience or 0
    return len(elbos) > since and max(elbos[-since:]) <= max(elbos[:-since])


def _is_last_objective(metrics: EpochMetrics, config: TrainConfig) -> bool:
    """Return whether training goes on after an epoch with the objective that it ends with."""
    return config.augment_until == 1 or not augments(config, progress_after(metrics, config))


def is_finished(history: Sequence[EpochMetrics], config: TrainConfig) -> bool:
    """Return whether all of a training has passed, by its metrics."""
    return bool(history) and progress_after(history[-1], config).share >= 1


def final_epoch(history: Sequence[EpochMetrics], config: TrainConfig) -> EpochMetrics | None:
    """Return the epoch whose weights a finished model has: the best if it is kept, else the last.

    None if there is no epoch.
    """
    evaluated = evaluations_after_warmup(history, config) if config.keep_best else []
    if evaluated:
        return max(evaluated, key=lambda pair: pair[1])[0]
    return history[-1] if history else None


def keep_best(model: VAE, state: TrainState, config: TrainConfig, *, ended: bool) -> None:
    """Copy the weights of a new best held-out ELBO; at the end of training, return to them.

    The weights are those that were evaluated: the average, where there is one. It does nothing
    unless `config.keep_best`. It is called after each epoch.
    """
    if not config.keep_best:
        return
    if final_epoch(state.history, config) is state.history[-1]:
        with averaged(state.average):
            copies = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        state.best = Snapshot(state.step, copies)
    if ended and state.best is not None:
        model.load_state_dict(state.best.tensors)
        if state.average is not None:
            state.average.restart()
