"""q(z | x): families of approximate posteriors, one member a row."""

from elboroom.model.flows import CONTEXT, Coupling
from elboroom.model.posteriors.density import (
    ClosedForm,
    Density,
    Reparameterised,
    Spread,
    Widenable,
)
from elboroom.model.posteriors.flow import AmortisedFlow
from elboroom.model.posteriors.gaussian import (
    CholeskyGaussian,
    DiagonalGaussian,
    Gaussian,
    LowRankGaussian,
    gaussian_of,
)
from elboroom.model.posteriors.mixture import GaussianMixture

__all__ = [
    "CONTEXT",
    "AmortisedFlow",
    "CholeskyGaussian",
    "ClosedForm",
    "Coupling",
    "Density",
    "DiagonalGaussian",
    "Gaussian",
    "GaussianMixture",
    "LowRankGaussian",
    "Reparameterised",
    "Spread",
    "Widenable",
    "gaussian_of",
]
