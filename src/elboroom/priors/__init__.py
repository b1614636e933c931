"""p(z): what is believed of z before x is seen."""

from elboroom.priors.flow import FlowPrior
from elboroom.priors.mixture import MixturePrior, SharedMixture
from elboroom.priors.prior import Prior, StandardNormal
from elboroom.priors.vamp import VampPrior

__all__ = ["FlowPrior", "MixturePrior", "Prior", "SharedMixture", "StandardNormal", "VampPrior"]
