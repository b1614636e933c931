"""A model of the shape of stored weights, which takes them."""

from dataclasses import replace

import torch

from elboroom.config import ModelConfig
from elboroom.data.statistics import Statistics
from elboroom.model.factory import NetworkFactory
from elboroom.model.likelihoods import observation_model
from elboroom.model.priors import PRIOR_CLASSES
from elboroom.model.vae import VAE
from elboroom.randomness import stream


def empty_model(
    config: ModelConfig, event_shape: tuple[int, ...], seed: int, network: NetworkFactory | None
) -> VAE:
    """Make a model whose weights, units, bias and pseudo-inputs are to be replaced by stored ones.

    Args:
        config: options of the model.
        event_shape: shape of x.
        seed: seed of the training, which code of the user's may draw what it does not store from.
        network: makes the networks; None for elboroom's own.

    Raises:
        UsageError: if the networks do not fit.
    """
    config = replace(config, data_bias=False)
    starts_at_images = PRIOR_CLASSES[config.prior].starts_at_images
    images = torch.zeros(config.components, *event_shape) if starts_at_images else None
    observed = observation_model(config, event_shape)
    return VAE.from_config(
        config,
        event_shape,
        generator=stream(seed, "weights"),
        statistics=Statistics.of_units(observed.measured_shape(event_shape)),
        images=images,
        network=network,
    )
