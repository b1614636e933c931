"""The initial model of a run."""

import torch
from torch import Tensor

from elboroom.config import Config
from elboroom.data import Dataset, Part
from elboroom.data.sharing import shared_passes
from elboroom.data.statistics import statistics_of
from elboroom.model.factory import NetworkFactory
from elboroom.model.likelihoods import observation_model
from elboroom.model.priors import PRIOR_CLASSES
from elboroom.model.vae import VAE
from elboroom.randomness import stream


@shared_passes()
def new_model(config: Config, data: Dataset, network: NetworkFactory | None = None) -> VAE:
    """Build the model of `config` with its initial weights, units and noise.

    `network` makes the networks, if the config names a factory. All processes of torchrun make it.
    """
    observed = observation_model(config.model, data.event_shape)
    measured = config.model.data_bias or observed.depends_on_data
    statistics = statistics_of(data.train, observed.measured) if measured else None
    starts_at_images = PRIOR_CLASSES[config.model.prior].starts_at_images
    images = _some_images(config, data) if starts_at_images else None
    generator = stream(config.train.seed, "weights")
    return VAE.from_config(
        config.model,
        data.event_shape,
        generator=generator,
        statistics=statistics,
        images=images,
        network=network,
    )


@shared_passes()
def measure(model: VAE, part: Part) -> None:
    """Measure the units and the initial noise of a model on its training part, unless they are.

    Raises:
        DataError: if the data have no scale.
    """
    likelihood = model.likelihood
    if likelihood.depends_on_data and not likelihood.is_measured:
        likelihood.measure(statistics_of(part, likelihood.measured))


def _some_images(config: Config, data: Dataset) -> Tensor:
    """Draw a training image for each component of the prior, again from the first if too few."""
    order = torch.randperm(len(data.train), generator=stream(config.train.seed, "pseudo-inputs"))
    rows = torch.arange(config.model.components) % len(order)
    return data.train.rows(order[rows].tolist()).x
