"""Options that depend on the machine, resolved before a run begins: batch size and epochs."""

from dataclasses import dataclass, field, replace
from typing import Any

from elboroom.config import Config
from elboroom.data import Dataset
from elboroom.model.vae import VAE
from elboroom.training.initial_model import new_model
from elboroom.training.limits.batch_size import largest_fit
from elboroom.training.limits.memory import memory_for
from elboroom.training.limits.time_budget import epochs_within


@dataclass(frozen=True)
class Resolution:
    """A resolved config, and the reason of each choice that it made."""

    config: Config
    reasons: dict[str, str] = field(default_factory=dict)
    """Sentences by the name of the choice: "batches", "epochs"; only choices that were made."""

    def with_training(self, choice: str, reason: str, **options: Any) -> "Resolution":
        """Replace training options, and add the reason."""
        train = replace(self.config.train, **options)
        return Resolution(replace(self.config, train=train), self.reasons | {choice: reason})


def resolve(config: Config, data: Dataset) -> Config:
    """Replace `batch_size="auto"` and `minutes` by numbers that suit this machine.

    A run stores the resolved config, so that it resumes with the same numbers anywhere.

    Args:
        config: options of a run.
        data: what it will be trained on.

    Returns:
        The config with a number as its batch size. Where `minutes` were given they are None, and
        `epochs` is the number that fits, at most that of `config`.

    Raises:
        UsageError: if free memory is unknown, one image does not fit, or one epoch takes longer
            than the minutes.
        TrainingError: if memory runs out while steps are timed.
    """
    return resolve_with_reasons(config, data).config


def resolve_with_reasons(config: Config, data: Dataset) -> Resolution:
    """Resolve as `resolve` does, and keep the reasons."""
    resolution = Resolution(config)
    if config.train.batch_size != "auto" and config.minutes is None:
        return resolution
    model = new_model(config, data)
    if config.train.batch_size == "auto":
        resolution = _fit_into_memory(resolution, model, data)
    if config.minutes is not None:
        resolution = _fit_into_minutes(resolution, config.minutes, model, data)
    return resolution


def _fit_into_memory(resolution: Resolution, model: VAE, data: Dataset) -> Resolution:
    config = resolution.config
    fit = largest_fit(model, data.train, config.train, objective=config.objective)
    return resolution.with_training("batches", str(fit), batch_size=fit.size)


def _fit_into_minutes(
    resolution: Resolution, minutes: float, model: VAE, data: Dataset
) -> Resolution:
    config = replace(resolution.config, minutes=None)
    with memory_for(config.train):
        epochs = epochs_within(minutes, model, data, config.train, objective=config.objective)
    reason = f"{epochs:,}, as many as fit into {minutes:g} minutes, or all of --epochs"
    return replace(resolution, config=config).with_training("epochs", reason, epochs=epochs)
