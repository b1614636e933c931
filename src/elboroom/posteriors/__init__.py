"""q(z | x): families of approximate posteriors, one member a row."""

from elboroom.posteriors.family import (
    ClosedForm,
    Family,
    Reparameterised,
    Spread,
    Widenable,
)
from elboroom.posteriors.flow import CONTEXT, AmortisedFlow, Coupling
from elboroom.posteriors.gaussian import (
    CholeskyGaussian,
    DiagonalGaussian,
    Gaussian,
    LowRankGaussian,
    gaussian_of,
)
from elboroom.posteriors.mixture import GaussianMixture

__all__ = [
    "CONTEXT",
    "AmortisedFlow",
    "CholeskyGaussian",
    "ClosedForm",
    "Coupling",
    "DiagonalGaussian",
    "Family",
    "Gaussian",
    "GaussianMixture",
    "LowRankGaussian",
    "Reparameterised",
    "Spread",
    "Widenable",
    "gaussian_of",
]
