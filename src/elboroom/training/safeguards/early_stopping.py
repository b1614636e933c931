"""Early stopping: when a run has waited long enough for a better held-out ELBO."""

import math
from collections.abc import Sequence

from elboroom.config import TrainConfig
from elboroom.training.state import EpochMetrics

Evaluated = list[tuple[EpochMetrics, float]]


def evaluations_after_warmup(history: Sequence[EpochMetrics], config: TrainConfig) -> Evaluated:
    """The epochs from the end of the warm-up on that have a held-out ELBO, each with it.

    While β rises, what is maximised changes, and with it how the ELBO goes. NaN counts as −∞.
    """
    return [
        (m, -math.inf if math.isnan(m.held_out_elbo) else m.held_out_elbo)
        for m in history
        if m.held_out_elbo is not None and m.epoch >= config.warmup
    ]


def out_of_patience(history: Sequence[EpochMetrics], config: TrainConfig) -> bool:
    """Whether the last `config.patience` evaluations brought no new best; never where it is None.

    It reads nothing but the history, so that a run and its resumption end alike.
    """
    elbos = (
        [elbo for _, elbo in evaluations_after_warmup(history, config)] if config.patience else []
    )
    since = config.patience or 0
    return len(elbos) > since and max(elbos[-since:]) <= max(elbos[:-since])
