"""p(z): the contract of a prior, and the priors that a config names."""

from elboroom.config import PriorName
from elboroom.model.priors.distribution import DistributionPrior, prior_of
from elboroom.model.priors.flow import FlowPrior
from elboroom.model.priors.mixture import MixturePrior, SharedMixture
from elboroom.model.priors.prior import Prior, PriorInputs, StandardNormal
from elboroom.model.priors.top import TopPrior, kl_of_levels
from elboroom.model.priors.vamp import VampPrior

__all__ = [
    "PRIOR_CLASSES",
    "DistributionPrior",
    "FlowPrior",
    "MixturePrior",
    "Prior",
    "PriorInputs",
    "SharedMixture",
    "StandardNormal",
    "TopPrior",
    "VampPrior",
    "kl_of_levels",
    "prior_of",
]

PRIOR_CLASSES: dict[PriorName, type[Prior]] = {
    "standard": StandardNormal,
    "mixture": MixturePrior,
    "vamp": VampPrior,
    "flow": FlowPrior,
}
