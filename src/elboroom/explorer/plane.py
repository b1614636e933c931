"""A plane through the latent space, on which encoded images and posteriors are drawn."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.infer.posterior import Posterior
from elboroom.model.linear_algebra import principal_directions

PCA = "pca"
_DRAWS = 500  # that estimate an unknown covariance
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True)
class Plane:
    """The points c + a u + b v of the latent space.

    Attributes:
        axes: its name in the interface, such as "0,1" or "pca".
        names: the names of both axes for people.
        centre: c, (D,).
        directions: u and v, (2, D), orthonormal.
    """

    axes: str
    names: tuple[str, str]
    centre: Tensor
    directions: Tensor

    @classmethod
    def of_latents(cls, axes: str, centre: Tensor) -> "Plane":
        """Return the plane of two latents, through a centre in all others.

        Args:
            axes: the numbers of two latents from 0 on, as in "0,1".
            centre: (D,).

        Raises:
            UsageError: if there are no such two latents.
        """
        latents = len(centre)
        chosen = [int(number) for number in axes.split(",")]
        if len(set(chosen)) < 2 or max(chosen) >= latents:
            raise UsageError(
                f"there is no plane of the axes {axes}",
                why=f"found {axes}; expected two different numbers from 0 to {latents - 1}",
                fix="name two latents of this model",
            )
        first, second = (f"z{str(number + 1).translate(_SUBSCRIPTS)}" for number in chosen)
        beside = centre.clone()
        beside[chosen] = 0
        return cls(axes, (first, second), beside, torch.eye(latents)[chosen])

    @classmethod
    def of_components(cls, means: Tensor) -> "Plane":
        """Return the plane of the first two principal components of some z, (N, D)."""
        names = ("principal component 1", "principal component 2")
        return cls(PCA, names, means.mean(0), principal_directions(means, 2))

    def project(self, z: Tensor) -> Tensor:
        """Return the coordinates of z on the plane, (..., D) → (..., 2)."""
        return (z - self.centre) @ self.directions.T

    def embed(self, points: Tensor) -> Tensor:
        """Return the z of coordinates on the plane, (..., 2) → (..., D)."""
        return self.centre + points @ self.directions

    def covariance(self, posterior: Posterior) -> Tensor:
        """Return the covariance of a row's posterior on the plane, (2, 2)."""
        exact = posterior.covariance
        if exact is not None:
            return self.directions @ exact[0].to(self.directions) @ self.directions.T
        return self.project(posterior.sample(_DRAWS)[:, 0]).T.cov()
