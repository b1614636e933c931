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

        Nodes are antithetic pairs, one half after the other, and a pair counts as one draw.
        """
        if self.exact:
            return torch.zeros_like(values[0])
        first, second = values.chunk(2)
        return (0.5 * (first + second)).std(0) / math.sqrt(len(first))


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
