"""The metric of Hamiltonian moves: an estimate of each row's posterior covariance, and its root."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from elboroom.infer.dimension import require_matrices, require_standard_prior
from elboroom.infer.fitting.curvature import Curvature
from elboroom.infer.fitting.subspace import informed_gaussian
from elboroom.infer.target import Target
from elboroom.model.posteriors import AffineGaussian, DiagonalGaussian, Gaussian, SubspaceGaussian
from elboroom.randomness import fork

Mass = Literal["diagonal", "dense", "low-rank"]


class Metric(ABC):
    """An estimate of the covariance Σ of each row, whose inverse is the mass matrix."""

    @property
    @abstractmethod
    def root(self) -> AffineGaussian:
        """N(0, Σ) or N(0, diag Σ), (B, D); a momentum p moves z by A p."""

    @classmethod
    @abstractmethod
    def at(cls, target: Target, z: Tensor, generator: torch.Generator) -> Self:
        """Estimate Σ by the Gauss–Newton precision, averaged over chains z (C, B, D)."""

    @abstractmethod
    def learned(self, draws: Tensor) -> Self:
        """Estimate Σ by the draws within chains, (T, C, B, D), shrunk towards this estimate."""


@dataclass(frozen=True)
class DenseMetric(Metric):
    """A matrix for each row, Σ (B, D, D)."""

    covariance: Tensor

    @property
    def root(self) -> AffineGaussian:
        """N(0, Σ)."""
        return Gaussian(self._centre, torch.linalg.cholesky(self.covariance))

    @property
    def _centre(self) -> Tensor:
        return torch.zeros_like(self.covariance[..., 0])

    @classmethod
    def at(cls, target: Target, z: Tensor, generator: torch.Generator) -> Self:
        """Invert the mean precision of the chains."""
        return cls(covariance_of_curvature(target, z))

    def learned(self, draws: Tensor) -> Self:
        """Shrink the covariance of draws towards this one."""
        return type(self)(covariance_of_draws(draws, self.covariance))


class AxisMetric(DenseMetric):
    """The same, of which moves use the diagonal."""

    @property
    def root(self) -> AffineGaussian:
        """N(0, diag Σ)."""
        diagonal = self.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        return Gaussian(self._centre, torch.diag_embed(diagonal))


@dataclass(frozen=True)
class SubspaceMetric(Metric):
    """I + V (Σ_r − I) Vᵀ: a covariance within the informed directions, the prior's beside them."""

    gaussian: SubspaceGaussian

    @property
    def root(self) -> SubspaceGaussian:
        """N(0, Σ)."""
        return self.gaussian

    @classmethod
    def at(cls, target: Target, z: Tensor, generator: torch.Generator) -> Self:
        """Find the directions that the seen pixels inform at the chains, on average."""
        zero = torch.zeros_like(z[0])
        return cls(informed_gaussian(Curvature(target, z), zero, fork(generator)))

    def learned(self, draws: Tensor) -> Self:
        """Estimate the covariance within the subspace; the former one has the weight of R + 1."""
        mean, directions, root, rest = self.gaussian.parameters
        covariance = covariance_of_draws(self.gaussian.along(draws), root @ root.mT)
        # A zero column of V keeps the variance of the prior.
        empty = torch.diag_embed((directions.square().sum(-2) < 0.5).to(root))
        former = root @ root.mT
        covariance = covariance + empty @ (former - covariance) @ empty
        return type(self)(
            SubspaceGaussian(mean, directions, torch.linalg.cholesky(covariance), rest)
        )


@dataclass(frozen=True)
class DiagonalMetric(Metric):
    """A variance for each latent, (B, D), without any matrix."""

    gaussian: DiagonalGaussian

    @property
    def root(self) -> DiagonalGaussian:
        """N(0, diag Σ)."""
        return self.gaussian

    @classmethod
    def at(cls, target: Target, z: Tensor, generator: torch.Generator) -> Self:
        """Take the marginal variances of the metric of low rank."""
        return cls(SubspaceMetric.at(target, z, generator).root.marginals)

    def learned(self, draws: Tensor) -> Self:
        """Estimate variances; the former ones have the weight of two draws."""
        former = (2 * self.gaussian.log_std).exp()
        count = draws[..., 0, 0].numel()
        squares = (draws - draws.mean(0)).square().sum((0, 1))
        # σ² = (n s² + w σ′²)/(n + w)
        variance = (squares + 2 * former) / (count + 2)
        return type(self)(DiagonalGaussian(self.gaussian.mean, 0.5 * variance.log()))


def metric_of(mass: Mass | None, target: Target) -> type[Metric]:
    """Return the metric that a mass names; None takes "dense", or "low-rank" where D is large.

    Raises:
        UsageError: "dense" beyond 300 latents, or "low-rank" under a prior other than N(0, I) or a
            ladder's.
    """
    if mass is None:
        return SubspaceMetric if target.is_large else DenseMetric
    if mass == "low-rank":
        fix = 'give mass="dense" or "diagonal"'
        require_standard_prior(target, 'mass="low-rank"', fix=fix)
        return SubspaceMetric
    if mass == "diagonal":
        return DiagonalMetric if target.is_large else AxisMetric
    holds = "estimate D² numbers of each row from fewer draws"
    fix = 'leave mass out, which takes "low-rank", or give "diagonal"'
    require_matrices(target, 'mass="dense"', holds=holds, fix=fix)
    return DenseMetric


def covariance_of_curvature(target: Target, z: Tensor) -> Tensor:
    """Invert the Gauss–Newton precision, averaged over chains: (C, B, D) → (B, D, D)."""
    precision = torch.stack([target.curvature(chain)[1] for chain in z]).mean(0)
    return torch.linalg.inv(precision)


def covariance_of_draws(draws: Tensor, former: Tensor) -> Tensor:
    """Estimate the covariance within chains, (T, C, B, D) → (B, D, D), shrunk towards `former`.

    Each chain is centred on its own mean: if chains stay in different modes, the distance between
    these does not matter for steps within one. The former estimate, (B, D, D), has the weight of
    D + 1 draws.
    """
    count, weight = draws[..., 0, 0].numel(), draws.shape[-1] + 1
    centred = draws - draws.mean(0)
    scatter = torch.einsum("tcbi,tcbj->bij", centred, centred)
    # Σ = (n S + w Σ′)/(n + w)
    return (scatter + weight * former) / (count + weight)
