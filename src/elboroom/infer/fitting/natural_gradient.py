"""Natural-gradient ascent of the ELBO with a Gaussian q for every row.

In the coordinates of q, z = μ + A ε with Σ = A Aᵀ, the Fisher metric of the Gaussian is constant:
natural gradients need no inverse (Glasmachers et al., 2010; Lin et al., 2020).
"""

import math

import torch
from torch import Tensor

from elboroom.infer.fitting.ascent import AscentMethod, Parameters
from elboroom.infer.fitting.expectation_nodes import (
    ExpectationNodes,
    gauss_hermite,
    spherical_radial,
)
from elboroom.infer.target import Target
from elboroom.model.linear_algebra import times_shared
from elboroom.model.normal import log_standard_normal

# For each D with a quadrature, the number of nodes along an axis for the steps and for the check.
# Nodes in one dimension are cheap.
_ORDERS = {1: (9, 12), 2: (3, 4)}
SHRINK = 0.7
"""Factor on the step size where noise could explain a change.

Halving would stop too early: all later steps together are as long as one.
"""
_LARGEST_MOVE = 1.5  # limit on a step of the mean, in standard deviations per latent
_LEAST_CURVATURE = 0.5


class NaturalGradientAscent(AscentMethod):
    """Ascent by natural gradients of the parameters (mean, scale) of `posteriors.Gaussian`.

    In one or two dimensions expectations are computed by quadrature, so the ascent has no noise. In
    more, nodes lie along whole sets of orthogonal directions: the noise is that of the posterior's
    third and higher derivatives, so that steps of the mean can be Newton's.

    Args:
        latents: D.
        k: samples of ε per step at least, if there is no quadrature.
        diagonal: keep Σ diagonal; the initial scale must be diagonal too.
        like: tensor whose type and device are used.
        generator: random generator of the ε.
    """

    def __init__(
        self, latents: int, k: int, like: Tensor, generator: torch.Generator, *, diagonal: bool
    ) -> None:
        self.diagonal, self.shrink, self.size = diagonal, SHRINK, 1.0
        if latents in _ORDERS:
            rule, self.check = (gauss_hermite(order, latents, like) for order in _ORDERS[latents])
            self.steps, self._nodes = 3, lambda: rule
        else:
            self.check = spherical_radial(k, latents, like, generator)
            self.steps, self._nodes = 1, lambda: spherical_radial(k, latents, like, generator)

    def ascend_round(self, target: Target, parameters: Parameters, size: Tensor) -> Parameters:
        """Take one round of steps."""
        mean, scale = parameters
        for _ in range(self.steps):
            mean, scale = _step(target, mean, scale, self._nodes(), size, self.diagonal)
        return mean, scale

    def log_weights(
        self, target: Target, parameters: Parameters, nodes: ExpectationNodes
    ) -> Tensor:
        """Compute log p(x_seen, z_k) − log q(z_k), in nats, (K, B)."""
        mean, scale = parameters
        log_joint = target.log_joint(_at(mean, scale, nodes))
        # −log q(z_k) = −log N(ε_k; 0, I) + log |det A|
        log_normal = log_standard_normal(nodes.eps)[:, None]
        return log_joint - log_normal + torch.linalg.slogdet(scale).logabsdet


def _step(
    target: Target,
    mean: Tensor,
    scale: Tensor,
    nodes: ExpectationNodes,
    size: Tensor,
    diagonal: bool,
) -> tuple[Tensor, Tensor]:
    """Take one step of each row's size along the path derivative (Roeder et al., 2017)."""
    gradient = target.gradient(_at(mean, scale, nodes))
    # r_k = Aᵀ ∇_z [ log p(x, z_k) − log q(z_k) ] = Aᵀ ∇ log p(x, z_k) + ε_k
    residual = torch.einsum("kbi,bij->kbj", gradient, scale) + nodes.eps[:, None]
    # E[r] is the gradient of the ELBO by the mean. E[r εᵀ] = I + Aᵀ E[∇² log p] A is zero at the
    # optimum.
    slope = nodes.mean(residual)
    excess = torch.einsum("k,kbi,kj->bij", nodes.weights, residual, nodes.eps)
    excess = 0.5 * (excess + excess.mT)
    move = shortened(_newton(slope, excess))
    if diagonal:
        excess = torch.diag_embed(excess.diagonal(dim1=-1, dim2=-2))
    # μ ← μ + ρ A Λ⁻¹ E[r],  A ← A (I + G + ½ G²), G = ½ ρ E[r εᵀ]: exp G to second order, which is
    # never singular
    size = size[:, None, None]
    norm = torch.linalg.matrix_norm(excess, keepdim=True)
    growth = 0.5 * size * excess / norm.clamp(min=1)
    mean = mean + (scale @ (size * move[..., None]))[..., 0]
    return mean, scale + scale @ (growth + 0.5 * growth @ growth)


def _newton(slope: Tensor, excess: Tensor) -> Tensor:
    """Compute Λ⁻¹ E[r]: the curvature Λ = I − E[r εᵀ] of the ELBO is kept positive definite."""
    values, vectors = torch.linalg.eigh(torch.eye(slope.shape[-1]).to(slope) - excess)
    coordinates = vectors.mT @ slope[..., None] / values.clamp(min=_LEAST_CURVATURE)[..., None]
    return (vectors @ coordinates)[..., 0]


def shortened(move: Tensor) -> Tensor:
    """Return steps of the mean, (B, D) in standard deviations, no longer than a limit."""
    longest = _LARGEST_MOVE * math.sqrt(move.shape[-1])
    return move / (move.norm(dim=-1, keepdim=True) / longest).clamp(min=1)


def _at(mean: Tensor, scale: Tensor, nodes: ExpectationNodes) -> Tensor:
    # z = μ + A ε
    return mean + times_shared(scale, nodes.eps)
