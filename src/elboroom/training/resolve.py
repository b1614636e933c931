"""Options that depend on the data or the machine, resolved before a run begins."""

import math
from dataclasses import dataclass, replace

from elboroom.config import Config, ModelConfig
from elboroom.config.kinds import LIKELIHOOD_OF_VALUES, LikelihoodName
from elboroom.config.run import require_options
from elboroom.data import Dataset, require_dataset
from elboroom.model.factory import NetworkFactory
from elboroom.model.vae import VAE
from elboroom.training.augmentation import require_pictures
from elboroom.training.initial_model import new_model
from elboroom.training.limits.batch_size import largest_fit
from elboroom.training.limits.memory import require_memory, require_memory_for_weights
from elboroom.training.schedule import AUTO_WARMUP, steps_per_epoch

_STEPS = 3_000  # of "auto" epochs; small tables and pictures gain little from more
_PIXELS = 2e8  # at most, in "auto" epochs of convolutions: 3,000 steps of 64 pictures of 32 × 32
_EPOCHS = 30  # at least, of "auto" epochs
_CONV_EPOCHS = 200  # at most, in "auto" epochs of convolutions, which overfit fewer pictures before
_WITH_MAPS = ("conv", "ladder")  # networks of convolutions


def resolve(config: Config, data: Dataset, network: NetworkFactory | None = None) -> Config:
    """Replace "auto" by what suits the data and this machine, and check the memory.

    A run stores the resolved config, so that it resumes with the same numbers anywhere.

    Args:
        config: options of a run.
        data: what it will be trained on.
        network: makes the networks, if the config names a factory.

    Returns:
        The config with the name of its likelihood, and numbers as its batch size, epochs and
        warm-up. In a training by time, "auto" epochs stay, which set no limit, and an "auto"
        warm-up, which follows the time.

    Raises:
        UsageError: if an argument has another type, if training does not fit into the free memory,
            if that is unknown and the batch size is auto, or if what is moved are not pictures.

    Example:
        >>> from elboroom import Config, resolve
        >>> config = Config(train=TrainConfig(epochs="auto", warmup="auto"))
        >>> found = resolve(config, data)
        >>> found.model.likelihood, found.train.epochs, found.train.warmup
        ('bernoulli', 334, 83.5)
    """
    return resolve_run(config, data, network).config


@dataclass(frozen=True)
class Resolved:
    """A config with numbers for "auto", and what was made to find them.

    Attributes:
        config: the config.
        model: its initial model, on the processor; it fits into memory.
        reasons: the reason of each choice, by its name.
    """

    config: Config
    model: VAE
    reasons: dict[str, str]


def resolve_run(config: Config, data: Dataset, network: NetworkFactory | None = None) -> Resolved:
    """Resolve as `resolve` does, and return also the initial model and the reasons."""
    require_options(config, Config)
    require_dataset(data)
    require_pictures(config.train, data.event_shape)
    reasons = dict[str, str]()
    config = replace(config, model=_with_likelihood(config, data))
    require_memory_for_weights(config, data.event_shape)
    model = new_model(config, data, network)
    if config.train.batch_size == "auto":
        config, reasons["batches"] = _fit_into_memory(config, model, data)
    reasons["memory"] = str(require_memory(model, data, config.train, config.objective))
    config, found = _with_epochs(config, data)
    return Resolved(_with_warmup(config), model, reasons | found)


def _with_likelihood(config: Config, data: Dataset) -> ModelConfig:
    """Replace an "auto" likelihood by a name, and name the columns of a table."""
    model = config.model
    schema = None if data.reading is None else data.reading.schema
    if schema is not None and model.likelihood in ("auto", "columns"):
        return replace(model, likelihood="columns", columns=model.columns or schema.likelihoods)
    if model.likelihood != "auto":
        return model
    return replace(model, likelihood=likelihood_for(data, config))


def likelihood_for(data: Dataset, config: Config) -> LikelihoodName:
    """Return the likelihood that "auto" stands for, by the values and the network.

    The bytes of a picture lie far less like one bell than a mixture of them. A network whose last
    layer is convolutional has few weights more for it.
    """
    found = LIKELIHOOD_OF_VALUES[data.kind]
    is_mixed = found == "discretized-logistic" and config.model.network in _WITH_MAPS
    return "discretized-logistic-mixture" if is_mixed else found


def _with_epochs(config: Config, data: Dataset) -> tuple[Config, dict[str, str]]:
    """Replace "auto" epochs by a number, with its reason."""
    if config.train.epochs != "auto" or config.train.minutes is not None:
        return config, {}
    per_epoch = steps_per_epoch(config.train, data.train)
    steps = _STEPS
    if config.model.network in _WITH_MAPS:  # the time of a step follows from its pixels
        pixels = config.train.resolved_batch_size * math.prod(data.event_shape[1:])
        steps = min(steps, _PIXELS / pixels, _CONV_EPOCHS * per_epoch)
    epochs = max(_EPOCHS, math.ceil(steps / per_epoch))
    reason = f"{epochs:,}, which are {epochs * per_epoch:,} steps"
    return replace(config, train=replace(config.train, epochs=epochs)), {"epochs": reason}


def _with_warmup(config: Config) -> Config:
    """Replace an "auto" warm-up by a number of epochs."""
    if config.train.warmup != "auto" or config.train.minutes is not None:
        return config
    warmup = AUTO_WARMUP * config.train.resolved_epochs
    return replace(config, train=replace(config.train, warmup=warmup))


def _fit_into_memory(config: Config, model: VAE, data: Dataset) -> tuple[Config, str]:
    fit = largest_fit(model, data.train, config.train, objective=config.objective)
    return replace(config, train=replace(config.train, batch_size=fit.size)), str(fit)
