"""The batch, learning rate, KL warm-up and augmentation of each step.

They are functions of options, seed and step, and of the plan of a training by time.
"""

import math

import torch
from torch import Tensor

from elboroom.config import TrainConfig
from elboroom.data import Dataset, Part
from elboroom.randomness import stream
from elboroom.training.metrics import EpochMetrics
from elboroom.training.progress import Progress
from elboroom.training.time_plan import TimePlan

AUTO_WARMUP = 0.25
"""The share of the training over which an "auto" warm-up of the KL rises."""
_EVALUATION = 1 / 3  # the time of a row's evaluation, as a share of that of its step
_RISE = 0.1  # the share of the steps over which one-cycle rises


class Schedule:
    """The batches of a run step by step, with what else differs between steps.

    Args:
        config: options of training.
        part: the training images, which each epoch visits once in an order of its own.
        plan: the plan of a training by time; a new one may take its place.
    """

    def __init__(self, config: TrainConfig, part: Part, plan: TimePlan | None = None) -> None:
        self.config, self.steps_per_epoch = config, steps_per_epoch(config, part)
        self.plan = plan
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
        progress = self.progress_after(number)
        rate, warmup = learning_rate(self.config, progress), kl_warmup(self.config, progress)
        return self._batches[place], rate, warmup, augments(self.config, progress)

    def progress_after(self, steps: int) -> Progress:
        """Return the progress after some steps."""
        epochs = steps / self.steps_per_epoch
        if self.plan is None:
            return Progress.of_epochs(epochs, self.config)
        return Progress(epochs, self.plan.share_after(steps))

    @property
    def steps(self) -> float:
        """The number of steps of the training, as far as it is planned."""
        return last_step(self.config, self.steps_per_epoch, self.plan)

    def images_since_epoch(self, steps: int) -> int:
        """Return the images that the epoch of the last of some steps has visited."""
        place = (steps - 1) % self.steps_per_epoch + 1
        return min(place * self.config.resolved_batch_size, self._images)

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


def last_step(config: TrainConfig, per_epoch: int, plan: TimePlan | None) -> float:
    """Return the number of steps of a training, as far as it is planned."""
    return config.resolved_epochs * per_epoch if plan is None else plan.end


def progress_after(metrics: EpochMetrics, config: TrainConfig) -> Progress:
    """Return the progress after an epoch."""
    if config.minutes is None or metrics.progress is None:
        return Progress.of_epochs(metrics.epoch, config)
    return Progress(metrics.epoch, metrics.progress)


def time_limits(config: TrainConfig, data: Dataset) -> dict[str, float]:
    """Return what limits a plan besides its time.

    Returns:
        The most steps of the training as `most`, and the steps whose time is `kept` for the last
        evaluation of the held-out ELBO.
    """
    epochs = math.inf if config.epochs == "auto" else config.epochs
    evaluations = len(data.held_out[1]) / config.resolved_batch_size
    most = epochs * steps_per_epoch(config, data.train)
    return {"most": most, "kept": _EVALUATION * evaluations}


def learning_rate(config: TrainConfig, progress: Progress) -> float:
    """Return the optimiser's step size at some progress.

    It rises linearly from 0 over the warm-up, or over the first tenth of one-cycle, which follows
    Smith & Topin, *Super-Convergence* (2018). It then falls as a cosine, or is constant.
    """
    share, rise = progress.share, _rise(config, progress)
    if rise and share <= rise:
        return config.learning_rate * share / rise
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (share - rise) / (1 - rise)))


def _rise(config: TrainConfig, progress: Progress) -> float:
    """Return the share of the steps over which the learning rate rises."""
    if config.schedule == "one-cycle":
        return _RISE
    warmup = config.learning_rate_warmup
    if config.minutes is None:
        return warmup / config.resolved_epochs
    # A training by time has as many epochs as follow from its progress.
    return warmup * progress.share / progress.epochs if progress.epochs else float(warmup > 0)


def kl_warmup(config: TrainConfig, progress: Progress) -> float:
    """Return the share of β at some progress: it rises linearly from 0 to 1.

    Raises:
        UsageError: if a training by epochs has an "auto" warm-up.
    """
    if config.minutes is not None and config.warmup == "auto":
        return min(1.0, progress.share / AUTO_WARMUP)
    warmup = config.resolved_warmup
    return min(1.0, progress.epochs / warmup) if warmup else 1.0


def augments(config: TrainConfig, progress: Progress) -> bool:
    """Return whether images are moved at some progress: all of them, or none at the end."""
    return config.augments and progress.share < config.augment_until
