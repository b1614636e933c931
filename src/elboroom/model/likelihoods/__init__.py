"""p(x | z): the densities that a decoder's output is the parameter of."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from elboroom.config import LikelihoodName, ModelConfig
from elboroom.model.likelihoods.bernoulli import Bernoulli
from elboroom.model.likelihoods.continuous_bernoulli import ContinuousBernoulli
from elboroom.model.likelihoods.discretized_logistic import DiscretizedLogistic
from elboroom.model.likelihoods.gaussian import GaussianPixels
from elboroom.model.likelihoods.likelihood import Likelihood
from elboroom.model.likelihoods.scale import SharedScale
from elboroom.model.likelihoods.support import kind_of, require_support

__all__ = [
    "Bernoulli",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "GaussianPixels",
    "Likelihood",
    "SharedScale",
    "kind_of",
    "likelihood_of",
    "require_support",
]

KINDS: dict[LikelihoodName, Any] = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": GaussianPixels,
    "discretized-logistic": DiscretizedLogistic,
}


def likelihood_of(config: ModelConfig) -> Callable[[Tensor], Likelihood]:
    """What makes the densities of a model, from the decoder's output."""
    kind = KINDS[config.likelihood]
    return SharedScale(kind, config.noise) if config.has_noise else kind
