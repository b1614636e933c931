"""Options that depend on the machine, resolved before a run begins: batch size and epochs."""

from dataclasses import replace

from elboroom.config import Config
from elboroom.data import Dataset, require_dataset
from elboroom.model.vae import VAE
from elboroom.training.initial_model import new_model
from elboroom.training.limits.batch_size import largest_fit
from elboroom.training.limits.memory import require_memory, require_memory_for_weights
from elboroom.training.limits.out_of_memory import memory_errors
from elboroom.training.limits.time_budget import epochs_within


def resolve(config: Config, data: Dataset) -> Config:
    """Replace `batch_size="auto"` and `minutes` by numbers, and check that the run fits.

    A run stores the resolved config, so that it resumes with the same numbers anywhere.

    Args:
        config: options of a run.
        data: what it will be trained on.

    Returns:
        The config with a number as its batch size. Where `minutes` were given they are None, and
        `epochs` is the number that fits, at most that of `config`.

    Raises:
        UsageError: if `data` is not a Dataset, if training does not fit into the free memory, if
            that is unknown and the batch size is auto, or if one epoch takes longer than the
            minutes.
        TrainingError: if memory runs out while steps are timed.
    """
    return resolve_with_reasons(config, data)[0]


def resolve_with_reasons(config: Config, data: Dataset) -> tuple[Config, dict[str, str]]:
    """Resolve as `resolve` does, and return also the reasons of each choice, by its name."""
    require_dataset(data)
    reasons = dict[str, str]()
    require_memory_for_weights(config, data.event_shape)
    model = new_model(config, data)
    if config.train.batch_size == "auto":
        config, reasons["batches"] = _fit_into_memory(config, model, data)
    reasons["memory"] = str(require_memory(model, data, config.train, config.objective))
    if config.minutes is not None:
        config, reasons["epochs"] = _fit_into_minutes(config, config.minutes, model, data)
    return config, reasons


def _fit_into_memory(config: Config, model: VAE, data: Dataset) -> tuple[Config, str]:
    fit = largest_fit(model, data.train, config.train, objective=config.objective)
    return replace(config, train=replace(config.train, batch_size=fit.size)), str(fit)


def _fit_into_minutes(
    config: Config, minutes: float, model: VAE, data: Dataset
) -> tuple[Config, str]:
    with memory_errors(config.train):
        epochs = epochs_within(minutes, model, data, config.train, objective=config.objective)
    reason = f"{epochs:,}, as many as fit into {minutes:g} minutes, or all of --epochs"
    return replace(config, train=replace(config.train, epochs=epochs), minutes=None), reason
