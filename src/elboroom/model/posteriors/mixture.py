"""Mixtures of Gaussians, one for each row."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.posteriors.density import AffineGaussian, Density
from elboroom.model.posteriors.gaussian import Gaussian


@dataclass(frozen=True, repr=False)
class GaussianMixture(Density):
    """Σ_m π_m N(μ_m, A_m A_mᵀ) for each row.

    Attributes:
        logits: (M, B), log π up to a constant of each row.
        components: the M Gaussians of each row, with locations (M, B, D); their `covariance` is
            known.
    """

    logits: Tensor
    components: AffineGaussian

    best_fit = "svi-mixture"

    @property
    def full(self) -> Gaussian:
        """The components, where they are known to be full Gaussians."""
        assert isinstance(self.components, Gaussian)
        return self.components

    @property
    def log_mass(self) -> Tensor:
        """log π, (M, B)."""
        return torch.log_softmax(self.logits, 0)

    @property
    def mean(self) -> Tensor:
        """E_q[z] = Σ_m π_m μ_m, (B, D)."""
        return (self.log_mass.exp()[..., None] * self.components.mean).sum(0)

    @property
    def covariance(self) -> Tensor:
        """Cov_q[z], (B, D, D)."""
        apart = self.components.mean - self.mean
        # Σ = Σ_m π_m [ Σ_m + (μ_m − μ)(μ_m − μ)ᵀ ]
        covariance = self.components.covariance
        assert covariance is not None  # every Gaussian knows its covariance
        parts = covariance + apart[..., :, None] * apart[..., None, :]
        return (self.log_mass.exp()[..., None, None] * parts).sum(0)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k components for each row, then z from each component, (k, B, D)."""
        which = torch.multinomial(self.log_mass.exp().T, k, True, generator=generator).T
        z = self.components.sample(k, generator)
        index = which[:, None, :, None].expand(-1, 1, -1, z.shape[-1])
        return z.gather(1, index)[:, 0]

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        # log q(z) = log Σ_m π_m N(z; μ_m, Σ_m)
        return torch.logsumexp(self.log_mass + self.components.log_prob(z[..., None, :, :]), -2)

    def detached(self) -> "GaussianMixture":
        """Return the same density without gradients to its parameters."""
        return GaussianMixture(self.logits.detach(), self.components.detached())

    def widened(self, factor: float) -> "GaussianMixture":
        """Multiply the standard deviations of each component by `factor`."""
        return GaussianMixture(self.logits, self.components.widened(factor))

    @property
    def widened_directions(self) -> int:
        """The number of directions of a component that `widened` widens."""
        return self.components.widened_directions
