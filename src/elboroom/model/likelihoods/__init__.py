"""p(x | z): the densities whose parameter is the output of a decoder."""

import math

import torch

from elboroom.config import LikelihoodName, ModelConfig, Standardise
from elboroom.errors import UsageError
from elboroom.model.likelihoods.bernoulli import Bernoulli
from elboroom.model.likelihoods.columns import Table, TableModel, columns_class
from elboroom.model.likelihoods.continuous_bernoulli import ContinuousBernoulli
from elboroom.model.likelihoods.discretized_logistic import DiscretizedLogistic
from elboroom.model.likelihoods.discretized_logistic_mixture import (
    DiscretizedLogisticMixture,
    VectorMixture,
)
from elboroom.model.likelihoods.gaussian import GaussianPixels
from elboroom.model.likelihoods.likelihood import Likelihood
from elboroom.model.likelihoods.noise import LEAST_NOISE, FixedNoise, LearnedNoise
from elboroom.model.likelihoods.observation import ObservationModel
from elboroom.model.likelihoods.standardised import Standardised, Units
from elboroom.model.likelihoods.support import require_support, require_values

__all__ = [
    "LEAST_NOISE",
    "LIKELIHOOD_CLASSES",
    "Bernoulli",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "FixedNoise",
    "GaussianPixels",
    "LearnedNoise",
    "Likelihood",
    "ObservationModel",
    "Standardised",
    "Table",
    "TableModel",
    "Units",
    "VectorMixture",
    "columns_class",
    "likelihood_class",
    "observation_model",
    "require_support",
    "require_values",
]

LIKELIHOOD_CLASSES: dict[LikelihoodName, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": GaussianPixels,
    "discretized-logistic": DiscretizedLogistic,
    "discretized-logistic-mixture": DiscretizedLogisticMixture,
}
"""The densities that all values of an event share. "columns" has a class for each table."""


def likelihood_class(config: ModelConfig) -> type[Likelihood]:
    """Return the class of densities that `config` names; "auto" is Bernoulli without data.

    Raises:
        UsageError: it is "columns", and the config does not name them.
    """
    if config.likelihood == "columns":
        return columns_class(config.columns)
    return Bernoulli if config.likelihood == "auto" else LIKELIHOOD_CLASSES[config.likelihood]


def observation_model(config: ModelConfig, event_shape: tuple[int, ...]) -> ObservationModel:
    """Build the observation model of `config`, whose units are not measured yet.

    Raises:
        UsageError: if channels are to be standardised, and x is a vector; or the likelihood does
            not take events of this shape.
    """
    kind = likelihood_class(config).for_events(event_shape)
    if config.likelihood == "columns":
        return TableModel(config.columns)
    shared = _shared_by(config.standardise, event_shape)
    units = Units(shared) if _is_standardised(config, kind) else None
    if not kind.has_scale:
        return ObservationModel(kind, None, units)
    if config.noise is not None:
        return ObservationModel(kind, FixedNoise(torch.full(shared, config.noise)), units)
    return ObservationModel(kind, LearnedNoise(shared), units)


def _is_standardised(config: ModelConfig, kind: type[Likelihood]) -> bool:
    if config.standardise == "auto":
        return kind is GaussianPixels
    return config.standardise != "none"


def _shared_by(standardise: Standardise, event_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape, broadcast to the event, of what the values of a channel or all share."""
    if standardise == "all":
        return ()
    if standardise == "value":
        return event_shape
    if len(event_shape) > 1:
        return event_shape[0], *(1 for _ in event_shape[1:])
    if standardise == "channel":
        raise UsageError(
            "found --standardise channel; expected value or all",
            why=f"the data are vectors of {math.prod(event_shape)} values, without channels",
            fix="use --standardise value, or give pictures (N, C, H, W)",
        )
    return event_shape
