"""Symptoms of a run that learns the wrong thing, read from its history, each told once."""

import warnings
from collections.abc import Sequence
from itertools import pairwise

from elboroom.config import TrainConfig
from elboroom.training.safeguards.early_stopping import evaluations_after_warmup
from elboroom.training.state import EpochMetrics

_TOLD = 0.1  # nats of KL, which are the most that z can tell of an image: log 2 tells two apart
_WAKING = 2_000  # steps after the warm-up: by then the latents of every preset tell several nats
_FALLS = 3  # of the held-out ELBO in a row
_FALL = 0.005  # of its size: less may be the noise of one sample an image


def warn_of_symptoms(history: Sequence[EpochMetrics], config: TrainConfig, part: str) -> None:
    """Warn of what the newest epoch shows and none before it did.

    Args:
        history: the finished epochs, the newest last.
        config: the options.
        part: the name of the held-out part.
    """
    for symptom in (_collapse, _overfitting):
        said = symptom(history, config, part)
        if said and not any(symptom(history[:i], config, part) for i in range(1, len(history))):
            warnings.warn(said, stacklevel=2)


def _collapse(history: Sequence[EpochMetrics], config: TrainConfig, part: str) -> str | None:
    """The KL, in the mean over images, bounds the mutual information of x and z under q.

    Hoffman & Johnson, *ELBO surgery* (2016), section 2.
    """
    last = history[-1]
    steps = last.step - config.warmup * (last.step / last.epoch)
    if steps < _WAKING or not last.kl < _TOLD:
        return None
    longer = f"longer than {config.warmup:g} epochs" if config.warmup else "of some epochs"
    return (
        f"posterior collapse: the KL of epoch {last.epoch} is {last.kl:.2g} nats per image, so "
        "that z tells next to nothing of x. Give the KL a --warmup "
        f"{longer}, each latent some --free-bits, or the decoder fewer --hidden units."
    )


def _overfitting(history: Sequence[EpochMetrics], config: TrainConfig, part: str) -> str | None:
    last = evaluations_after_warmup(history, config)[-_FALLS - 1 :]
    if len(last) <= _FALLS or last[-1][0] is not history[-1]:
        return None
    (first, before), (newest, now) = last[0], last[-1]
    falls = all(x > y for (_, x), (_, y) in pairwise(last))
    if not falls or newest.elbo <= first.elbo or before - now < _FALL * abs(before):
        return None
    return (
        f"overfitting: from epoch {first.epoch} to {newest.epoch} the {part} ELBO fell from "
        f"{before:.2f} to {now:.2f} nats per image, while the training ELBO rose from "
        f"{first.elbo:.2f} to {newest.elbo:.2f}. Use --patience {_FALLS}, --epochs {first.epoch}, "
        "fewer --hidden units or more images."
    )
