"""Warnings of posterior collapse and overfitting, read from the history, each given once."""

import warnings
from collections.abc import Sequence
from itertools import pairwise

from elboroom.config import WIDTHS, TrainConfig
from elboroom.training.metrics import EpochMetrics
from elboroom.training.safeguards.early_stopping import evaluations_after_warmup
from elboroom.training.schedule import AUTO_WARMUP, progress_after

# The KL in nats bounds the information of z about x; log 2 = 0.69 would tell two images apart.
_LEAST_KL = 0.1
# Steps after the warm-up. By then the KL of every preset is several nats.
_WAKING_STEPS = 2_000
# Consecutive falls of the held-out ELBO that count as overfitting.
_FALLS = 3
# The least fall relative to the ELBO. A smaller one may be noise of one sample per image.
_LEAST_FALL = 0.005


def warn_of_symptoms(
    history: Sequence[EpochMetrics], config: TrainConfig, watched_by: str, noun: str = "image"
) -> None:
    """Warn of each symptom that the newest epoch is the first to show.

    Args:
        history: metrics of the finished epochs, the newest last.
        config: options of training.
        watched_by: what training is watched by, such as the validation ELBO.
        noun: what a row of the data is called.
    """
    for symptom in _SYMPTOMS:
        message = symptom(history, config, watched_by, noun)
        earlier = (history[:i] for i in range(1, len(history)))
        if message and not any(symptom(before, config, watched_by, noun) for before in earlier):
            warnings.warn(message, stacklevel=2)


def find_symptoms(
    history: Sequence[EpochMetrics], config: TrainConfig, watched_by: str, noun: str = "image"
) -> list[str]:
    """Return the symptoms that the newest epoch shows, a message each, as `warn_of_symptoms`."""
    if not history:
        return []
    found = (symptom(history, config, watched_by, noun) for symptom in _SYMPTOMS)
    return [message for message in found if message]


def _collapse(
    history: Sequence[EpochMetrics], config: TrainConfig, watched_by: str, noun: str
) -> str | None:
    """Describe posterior collapse, if there is one: the mean KL is almost zero.

    The mean KL over images bounds the mutual information of x and z under q: Hoffman & Johnson,
    *ELBO surgery* (2016), section 2.
    """
    last = history[-1]
    warmup = _warmup(last, config)
    steps = last.step - warmup * (last.step / last.epoch)
    if steps < _WAKING_STEPS or not last.kl < _LEAST_KL:
        return None
    longer = f"longer than {warmup:.3g} epochs" if warmup else "of some epochs"
    return (
        f"posterior collapse: the KL of epoch {last.epoch} is {last.kl:.2g} nats per {noun}, so "
        "z carries almost no information about x. Give the KL a --warmup "
        f"{longer}, each latent some --free-bits, or take a smaller {WIDTHS}."
    )


def _warmup(last: EpochMetrics, config: TrainConfig) -> float:
    """Return the warm-up of the KL in epochs, by the newest epoch where it follows the time."""
    if config.warmup != "auto":
        return config.warmup
    progress = progress_after(last, config)
    return AUTO_WARMUP * progress.epochs / progress.share


def _overfitting(
    history: Sequence[EpochMetrics], config: TrainConfig, watched_by: str, noun: str
) -> str | None:
    """Describe overfitting, if there is any: the held-out ELBO falls while the ELBO rises.

    Where the best weights are kept, it does no harm.
    """
    if config.keep_best:
        return None
    last = evaluations_after_warmup(history, config)[-_FALLS - 1 :]
    if len(last) <= _FALLS or last[-1][0] is not history[-1]:
        return None
    (first, before), (newest, now) = last[0], last[-1]
    falls = all(x > y for (_, x), (_, y) in pairwise(last))
    if not falls or newest.elbo <= first.elbo or before - now < _LEAST_FALL * abs(before):
        return None
    return (
        f"overfitting: from epoch {first.epoch} to {newest.epoch} the {watched_by} fell from "
        f"{before:.2f} to {now:.2f} nats per {noun}, while the training ELBO rose from "
        f"{first.elbo:.2f} to {newest.elbo:.2f}. Use --patience {_FALLS}, --epochs {first.epoch}, "
        f"a smaller {WIDTHS}, or more {noun}s."
    )


_SYMPTOMS = _collapse, _overfitting
