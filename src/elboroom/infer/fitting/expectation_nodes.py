"""Nodes ε and weights that estimate E[f(ε)], ε ~ N(0, I); all rows share them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elboroom.model.linear_algebra import product_grid
from elboroom.randomness import normals


@dataclass(frozen=True)
class ExpectationNodes:
    """A rule E[f(ε)] ≈ Σ_k w_k f(ε_k).

    Attributes:
        eps: (K, D).
        weights: (K,), which sum to one.
        exact: True for a quadrature, which has no Monte-Carlo noise.
    """

    eps: Tensor
    weights: Tensor
    exact: bool

    def mean(self, values: Tensor) -> Tensor:
        """Compute Σ_k w_k f_k: (K, ...) → (...)."""
        return torch.tensordot(self.weights, values, 1)

    def standard_error(self, values: Tensor) -> Tensor:
        """Compute the standard error of `mean`, (K, ...) → (...): zero for a quadrature.

        Nodes are antithetic pairs, one half after the other, behind the centre if there is one. A
        pair, with the centre, counts as one draw. Of orthogonal directions the result includes the
        noise of quadratic terms, which they do not have.
        """
        if self.exact:
            return torch.zeros_like(values[0])
        pairs = len(self.eps) // 2
        first, second = values[-2 * pairs :].chunk(2)
        share = (2 * pairs * self.weights[-pairs:]).view(-1, *[1] * (values.ndim - 1))
        # One pair alone: E[f] ≈ s ½ (f(ε) + f(−ε)) + (1 − s) f(0)
        found = torch.lerp(values[:1], 0.5 * (first + second), share)
        return found.std(0) / math.sqrt(pairs)


def gauss_hermite(order: int, latents: int, like: Tensor) -> ExpectationNodes:
    """Return the product rule of order^D nodes, exact for polynomials of degree 2 order − 1."""
    roots, weights = np.polynomial.hermite_e.hermegauss(order)
    axis = torch.from_numpy(roots).to(like)
    mass = torch.from_numpy(weights / math.sqrt(2 * math.pi)).to(like)
    products = product_grid(mass, latents).prod(-1)
    return ExpectationNodes(product_grid(axis, latents), products, exact=True)


def antithetic(k: int, latents: int, like: Tensor, generator: torch.Generator) -> ExpectationNodes:
    """Draw k nodes in pairs ± ε, so that odd functions have no noise; k is rounded up to even."""
    half = normals((math.ceil(k / 2), latents), like, generator)
    eps = torch.cat([half, -half])
    return ExpectationNodes(eps, torch.full_like(eps[:, 0], 1 / len(eps)), exact=False)


def spherical_radial(
    k: int, latents: int, like: Tensor, generator: torch.Generator
) -> ExpectationNodes:
    """Draw k nodes or more: 0, and pairs ± ρ u along whole sets of D orthogonal directions u.

    The rule has no bias, and no noise for polynomials of degree 3: the stochastic rule of that
    degree of Genz & Monahan, *Stochastic integration rules for infinite regions* (1998), with a
    radius ρ of its own for each direction. It takes more than 2 latents, since the variance of its
    weights is infinite below.
    """
    shape = math.ceil(k / (2 * latents)), latents
    directions = torch.linalg.qr(normals((*shape, latents), like, generator)).Q.mT
    # E[f] ≈ f(0) + Σ_d (f(ρ_d u_d) + f(−ρ_d u_d) − 2 f(0)) / 2 ρ_d², ρ_d² of D + 2 squares
    square = normals((*shape, latents + 2), like, generator).square().sum(-1)
    half = (square.sqrt()[..., None] * directions).flatten(0, 1)
    mass = (0.5 / (shape[0] * square)).flatten()
    rest = 1 - 2 * mass.sum(0, keepdim=True)
    eps = torch.cat([torch.zeros_like(half[:1]), half, -half])
    return ExpectationNodes(eps, torch.cat([rest, mass, mass]), exact=False)
