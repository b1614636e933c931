"""Densities over z: the contract, and the families of approximate posteriors."""

from elboroom.config import PosteriorName
from elboroom.model.flows import CONTEXT
from elboroom.model.posteriors.by_rows import RowsOfDensities
from elboroom.model.posteriors.density import AffineGaussian, Density, DiagonalGaussian
from elboroom.model.posteriors.family import PosteriorFamily
from elboroom.model.posteriors.flow import AmortisedFlow, FlowFamily
from elboroom.model.posteriors.gaussian import (
    CholeskyGaussian,
    Gaussian,
    LowRankGaussian,
)
from elboroom.model.posteriors.ladder import Descent, LadderFamily, LadderPosterior
from elboroom.model.posteriors.matched import MOST_DENSE, gaussian_of
from elboroom.model.posteriors.mixture import GaussianMixture
from elboroom.model.posteriors.subspace import SubspaceGaussian

__all__ = [
    "MOST_DENSE",
    "POSTERIOR_FAMILIES",
    "AffineGaussian",
    "AmortisedFlow",
    "CholeskyGaussian",
    "Density",
    "Descent",
    "DiagonalGaussian",
    "Gaussian",
    "GaussianMixture",
    "LadderFamily",
    "LadderPosterior",
    "LowRankGaussian",
    "PosteriorFamily",
    "RowsOfDensities",
    "SubspaceGaussian",
    "gaussian_of",
]

POSTERIOR_FAMILIES: dict[PosteriorName, PosteriorFamily] = {
    "diagonal": PosteriorFamily(
        sizes=lambda latents: (latents, latents), build=lambda latents, generator: DiagonalGaussian
    ),
    "full": PosteriorFamily(
        sizes=lambda latents: (latents, latents, latents * (latents - 1) // 2),
        build=lambda latents, generator: CholeskyGaussian,
    ),
    "flow": PosteriorFamily(
        sizes=lambda latents: (latents, latents, CONTEXT),
        build=FlowFamily,
        least_weights=lambda latents: 12 * latents**2,
    ),
    "laplace": PosteriorFamily(sizes=lambda latents: (), build=lambda latents, generator: Gaussian),
}
