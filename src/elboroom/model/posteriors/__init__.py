"""Densities over z: the contract, and the families of approximate posteriors."""

from elboroom.model.posteriors.density import Density, DiagonalGaussian
from elboroom.model.posteriors.flow import AmortisedFlow
from elboroom.model.posteriors.gaussian import (
    CholeskyGaussian,
    Gaussian,
    LowRankGaussian,
    gaussian_of,
)
from elboroom.model.posteriors.mixture import GaussianMixture

__all__ = [
    "AmortisedFlow",
    "CholeskyGaussian",
    "Density",
    "DiagonalGaussian",
    "Gaussian",
    "GaussianMixture",
    "LowRankGaussian",
    "gaussian_of",
]
