"""What each step of a run does: a function of the options, the seed and the step, never of time."""

import math

import torch
from torch import Tensor

from elboroom.config import TrainConfig
from elboroom.data import Part
from elboroom.randomness import stream

_RISE = 0.1  # of the steps, in which one-cycle climbs


class Schedule:
    """The batches of a run, step by step, and the rate and warmth of each.

    Args:
        config: the options.
        part: the images that are visited once an epoch, each time in another order.
    """

    def __init__(self, config: TrainConfig, part: Part) -> None:
        self.config, self.steps_per_epoch = config, steps_per_epoch(config, part)
        self._images, self._device = len(part), part.device
        self._epoch, self._batches = -1, tuple[Tensor, ...]()

    def step(self, number: int) -> tuple[Tensor, float, float]:
        """Rows of the images (B,), the learning rate, and how far β has risen."""
        epoch, place = divmod(number, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(epoch)
        progress = number / self.steps_per_epoch
        rate, warm = learning_rate(self.config, progress), kl_warmup(self.config, progress)
        return self._batches[place], rate, warm

    def epoch_of(self, step: int) -> int:
        """The epoch that a step is of, counted from 1."""
        return step // self.steps_per_epoch + 1

    def _shuffled(self, epoch: int) -> tuple[Tensor, ...]:
        order = torch.randperm(self._images, generator=stream(self.config.seed, "order", epoch))
        return order.to(self._device).split(self.config.resolved_batch_size)


def steps_per_epoch(config: TrainConfig, part: Part) -> int:
    """Return the number of batches that visit every image of `part` once."""
    return math.ceil(len(part) / config.resolved_batch_size)


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Adam's step size after `progress` epochs.

    one-cycle is that of Smith & Topin, *Super-Convergence* (2018), with a cosine for its descent.
    """
    share, rise = progress / config.epochs, _RISE * (config.schedule == "one-cycle")
    if config.schedule == "constant":
        return config.learning_rate
    if share < rise:
        return config.learning_rate * share / rise
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (share - rise) / (1 - rise)))


def kl_warmup(config: TrainConfig, progress: float) -> float:
    """How far β has risen after `progress` epochs: linear from 0 to 1 over the warm-up."""
    return min(1.0, progress / config.warmup) if config.warmup else 1.0
