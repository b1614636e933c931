"""Early stopping: training ends after some evaluations without a better held-out ELBO."""

import math
from collections.abc import Sequence

from elboroom.config import TrainConfig
from elboroom.training.state import EpochMetrics

Evaluated = list[tuple[EpochMetrics, float]]


def evaluations_after_warmup(history: Sequence[EpochMetrics], config: TrainConfig) -> Evaluated:
    """Return the epochs with a held-out ELBO from the end of the warm-up on, each with its ELBO.

    While β rises the objective changes, so earlier ELBOs are not comparable. NaN counts as −∞.
    """
    return [
        (m, -math.inf if math.isnan(m.held_out_elbo) else m.held_out_elbo)
        for m in history
        if m.held_out_elbo is not None and m.epoch >= config.warmup
    ]


def out_of_patience(history: Sequence[EpochMetrics], config: TrainConfig) -> bool:
    """Return whether the last `config.patience` evaluations brought no new best; False if None.

    The decision reads only the history, so a resumed run ends where the uninterrupted one would.
    """
    elbos = (
        [elbo for _, elbo in evaluations_after_warmup(history, config)] if config.patience else []
    )
    since = config.patience or 0
    return len(elbos) > since and max(elbos[-since:]) <= max(elbos[:-since])
