"""p(z): what is believed of z before x is seen."""

from elboroom.model.priors.flow import FlowPrior
from elboroom.model.priors.mixture import MixturePrior, SharedMixture
from elboroom.model.priors.prior import Prior, StandardNormal
from elboroom.model.priors.vamp import VampPrior

__all__ = ["FlowPrior", "MixturePrior", "Prior", "SharedMixture", "StandardNormal", "VampPrior"]
