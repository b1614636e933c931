"""p(x | z): the densities whose parameter is the output of a decoder."""

from collections.abc import Callable

from torch import Tensor

from elboroom.config import LikelihoodName, ModelConfig
from elboroom.model.likelihoods.bernoulli import Bernoulli
from elboroom.model.likelihoods.continuous_bernoulli import ContinuousBernoulli
from elboroom.model.likelihoods.discretized_logistic import DiscretizedLogistic
from elboroom.model.likelihoods.gaussian import GaussianPixels
from elboroom.model.likelihoods.likelihood import Likelihood
from elboroom.model.likelihoods.scale import SharedScale
from elboroom.model.likelihoods.support import class_of, require_support, require_values

__all__ = [
    "LIKELIHOOD_CLASSES",
    "Bernoulli",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "GaussianPixels",
    "Likelihood",
    "SharedScale",
    "class_of",
    "likelihood_of",
    "require_support",
    "require_values",
]

LIKELIHOOD_CLASSES: dict[LikelihoodName, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": GaussianPixels,
    "discretized-logistic": DiscretizedLogistic,
}


def likelihood_of(config: ModelConfig) -> Callable[[Tensor], Likelihood]:
    """Return the map from the decoder's output to densities of x that `config` names."""
    kind = LIKELIHOOD_CLASSES[config.likelihood]
    return SharedScale(kind, config.noise) if kind.has_scale else kind
