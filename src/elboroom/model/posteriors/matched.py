"""The Gaussian with the mean and the covariance of any density."""

import torch

from elboroom.model.posteriors.density import AffineGaussian, Density, DiagonalGaussian
from elboroom.model.posteriors.gaussian import Gaussian
from elboroom.model.posteriors.mixture import GaussianMixture
from elboroom.model.posteriors.subspace import SubspaceGaussian, matched_to_mixture

MOST_DENSE = 300
"""The largest number of latents whose covariances are kept as matrices, (B, D, D).

Beyond it, in 784 pixels of an MLP, Gauss–Newton steps by a Jacobian of all latents take longer than
those by products with it, and the memory of a row grows with D².
"""


def gaussian_of(q: Density) -> AffineGaussian | None:
    """Return the Gaussian with the mean and the covariance of q; None if q has no covariance.

    Beyond 300 latents a Gaussian that is diagonal or of low rank stays so, and a mixture of those
    of low rank becomes one of them.
    """
    if isinstance(q, Gaussian | SubspaceGaussian):
        return q
    if isinstance(q, DiagonalGaussian) and q.mean.shape[-1] > MOST_DENSE:
        return q
    if isinstance(q, GaussianMixture) and isinstance(q.components, SubspaceGaussian):
        return matched_to_mixture(q.log_mass, q.components)
    covariance = q.covariance
    return None if covariance is None else Gaussian(q.mean, torch.linalg.cholesky(covariance))
