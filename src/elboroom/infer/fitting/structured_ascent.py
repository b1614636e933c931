"""Natural-gradient ascent with Gaussians of many latents, whose root is no matrix of D × D.

The same steps as `natural_gradient`, in the directions that the family leaves free.
"""

from abc import abstractmethod
from typing import cast

import torch
from torch import Tensor

from elboroom.infer.fitting.ascent import AscentMethod, Parameters
from elboroom.infer.fitting.expectation_nodes import ExpectationNodes, antithetic
from elboroom.infer.fitting.natural_gradient import SHRINK, shortened
from elboroom.infer.target import Target
from elboroom.model.normal import log_standard_normal
from elboroom.model.posteriors import AffineGaussian, DiagonalGaussian, SubspaceGaussian

_CHECK_DRAWS = 64


class StructuredAscent(AscentMethod):
    """Ascent by natural gradients of the parameters of an `AffineGaussian`.

    Args:
        latents: D.
        k: samples of ε per step.
        like: tensor whose type and device are used.
        generator: random generator of the ε.
    """

    size, steps, shrink = 0.5, 4, SHRINK

    def __init__(self, latents: int, k: int, like: Tensor, generator: torch.Generator) -> None:
        self.check = antithetic(_CHECK_DRAWS, latents, like, generator)
        self._nodes = lambda: antithetic(k, latents, like, generator)

    @abstractmethod
    def q(self, parameters: Parameters) -> AffineGaussian:
        """Return the density of these parameters."""

    @abstractmethod
    def grown(
        self, q: AffineGaussian, mean: Tensor, moments: Tensor, size: Tensor
    ) -> AffineGaussian:
        """Move the mean, and take a step of the root, A ← A (I + G + ½ G²), G = ½ ρ E[r εᵀ]."""

    @abstractmethod
    def moments(self, q: AffineGaussian, residual: Tensor, nodes: ExpectationNodes) -> Tensor:
        """Compute what the family has of E[r εᵀ], from r (K, B, D)."""

    def ascend_round(self, target: Target, parameters: Parameters, size: Tensor) -> Parameters:
        """Take one round of steps along the path derivative."""
        q = self.q(parameters)
        for _ in range(self.steps):
            nodes = self._nodes()
            gradient = target.gradient(_at(q, nodes))
            # r_k = Aᵀ ∇ log p(x, z_k) + ε_k
            residual = q.pulled(gradient) + nodes.eps[:, None]
            # μ ← μ + ρ A E[r]
            mean = q.at(size[:, None] * shortened(nodes.mean(residual)))
            q = self.grown(q, mean, self.moments(q, residual, nodes), size)
        return q.parameters

    def log_weights(
        self, target: Target, parameters: Parameters, nodes: ExpectationNodes
    ) -> Tensor:
        """Compute log p(x_seen, z_k) − log q(z_k), in nats, (K, B)."""
        q = self.q(parameters)
        # −log q(z_k) = −log N(ε_k; 0, I) + log |det A|
        return target.log_joint(_at(q, nodes)) - log_standard_normal(nodes.eps)[:, None] + q.log_det


class SubspaceAscent(StructuredAscent):
    """The ascent of Gaussians whose covariance is free within a subspace, V fixed."""

    def q(self, parameters: Parameters) -> SubspaceGaussian:
        """Return the density of these parameters."""
        return SubspaceGaussian(*parameters)

    def moments(self, q: AffineGaussian, residual: Tensor, nodes: ExpectationNodes) -> Tensor:
        """Compute Vᵀ E[r εᵀ] V, (B, R, R)."""
        along = cast(SubspaceGaussian, q).along
        eps = along(nodes.eps[:, None].expand_as(residual))
        moments = torch.einsum("k,kbi,kbj->bij", nodes.weights, along(residual), eps)
        return 0.5 * (moments + moments.mT)

    def grown(
        self, q: AffineGaussian, mean: Tensor, moments: Tensor, size: Tensor
    ) -> SubspaceGaussian:
        """Move the mean, and S within the subspace."""
        _, directions, root, rest = q.parameters
        norm = torch.linalg.matrix_norm(moments, keepdim=True)
        growth = 0.5 * size[:, None, None] * moments / norm.clamp(min=1)
        root = root + root @ (growth + 0.5 * growth @ growth)
        return SubspaceGaussian(mean, directions, root, rest)


class DiagonalAscent(StructuredAscent):
    """The ascent of Gaussians of independent latents."""

    def q(self, parameters: Parameters) -> DiagonalGaussian:
        """Return the density of these parameters."""
        return DiagonalGaussian(*parameters)

    def moments(self, q: AffineGaussian, residual: Tensor, nodes: ExpectationNodes) -> Tensor:
        """Compute E[r_d ε_d], (B, D)."""
        return torch.einsum("k,kbd,kd->bd", nodes.weights, residual, nodes.eps)

    def grown(
        self, q: AffineGaussian, mean: Tensor, moments: Tensor, size: Tensor
    ) -> DiagonalGaussian:
        """Move the mean, and each standard deviation."""
        norm = moments.norm(dim=-1, keepdim=True)
        growth = 0.5 * size[:, None] * moments / norm.clamp(min=1)
        log_std = q.parameters[1] + (growth + 0.5 * growth.square()).log1p()
        return DiagonalGaussian(mean, log_std)


def _at(q: AffineGaussian, nodes: ExpectationNodes) -> Tensor:
    return q.at(nodes.eps[:, None].expand(-1, *q.mean.shape))
