"""The batch, learning rate, KL warm-up and augmentation of each step.

They are functions of options, seed and step.
"""

import math

import torch
from torch import Tensor

from elboroom.config import TrainConfig
from elboroom.data import Part
from elboroom.randomness import stream

_RISE = 0.1  # the share of the steps over which one-cycle rises


class Schedule:
    """The batches of a run step by step, with what else differs between steps.

    Args:
        config: options of training.
        part: the training images, which each epoch visits once in an order of its own.
    """

    def __init__(self, config: TrainConfig, part: Part) -> None:
        self.config, self.steps_per_epoch = config, steps_per_epoch(config, part)
        self._images, self._device = len(part), part.device
        self._epoch, self._batches = -1, tuple[Tensor, ...]()

    def step(self, number: int) -> tuple[Tensor, float, float, bool]:
        """Return what a step is taken with.

        Returns:
            Rows of the part (B,), the learning rate, the KL warm-up in [0, 1], and whether images
            are moved.
        """
        epoch, place = divmod(number, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(epoch)
        progress = number / self.steps_per_epoch
        rate, warmup = learning_rate(self.config, progress), kl_warmup(self.config, progress)
        return self._batches[place], rate, warmup, augments(self.config, progress)

    def epoch_of(self, step: int) -> int:
        """Return the epoch of a step, counted from 1."""
        return step // self.steps_per_epoch + 1

    def ends_epoch(self, steps: int) -> bool:
        """Return whether an epoch ends after `steps` steps of the run."""
        return steps % self.steps_per_epoch == 0

    def _shuffled(self, epoch: int) -> tuple[Tensor, ...]:
        order = torch.randperm(self._images, generator=stream(self.config.seed, "order", epoch))
        return order.to(self._device).split(self.config.resolved_batch_size)


def steps_per_epoch(config: TrainConfig, part: Part) -> int:
    """Return the number of batches that visit every image of `part` once."""
    return math.ceil(len(part) / config.resolved_batch_size)


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Return the optimiser's step size after `progress` epochs.

    It rises linearly from 0 over the warm-up, or over the first tenth of one-cycle, which follows
    Smith & Topin, *Super-Convergence* (2018). It then falls as a cosine, or is constant.
    """
    share, rise = progress / config.resolved_epochs, _rise(config)
    if rise and share <= rise:
        return config.learning_rate * share / rise
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (share - rise) / (1 - rise)))


def _rise(config: TrainConfig) -> float:
    """Return the share of the steps over which the learning rate rises."""
    warmup = config.learning_rate_warmup / config.resolved_epochs
    return _RISE if config.schedule == "one-cycle" else warmup


def kl_warmup(config: TrainConfig, progress: float) -> float:
    """Return the share of β after `progress` epochs: it rises linearly from 0 to 1."""
    warmup = config.resolved_warmup
    return min(1.0, progress / warmup) if warmup else 1.0


def augments(config: TrainConfig, progress: float) -> bool:
    """Return whether images are moved after `progress` epochs: all of them, or none at the end."""
    return config.augments and progress < config.augment_until * config.resolved_epochs
