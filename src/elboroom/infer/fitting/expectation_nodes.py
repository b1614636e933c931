"""Nodes ε and weights with which E[f(ε)], ε ~ N(0, I), is estimated; every row shares them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ExpectationNodes:
    """E[f(ε)] ≈ Σ_k w_k f(ε_k).

    Attributes:
        eps: (K, D).
        weights: (K,), which sum to one.
        exact: whether this is a quadrature, without Monte-Carlo noise.
    """

    eps: Tensor
    weights: Tensor
    exact: bool

    def mean(self, values: Tensor) -> Tensor:
        """Σ_k w_k f_k: (K, ...) → (...)."""
        return torch.tensordot(self.weights, values, 1)

    def standard_error(self, values: Tensor) -> Tensor:
        """That of `mean`, (K, ...) → (...): zero for a quadrature.

        Nodes come in antithetic pairs, one half after the other, and a pair counts as one draw.
        """
        if self.exact:
            return torch.zeros_like(values[0])
        first, second = values.chunk(2)
        return (0.5 * (first + second)).std(0) / math.sqrt(len(first))


def gauss_hermite(order: int, latents: int, like: Tensor) -> ExpectationNodes:
    """The product rule of order^D nodes, exact for polynomials of degree 2 order − 1."""
    roots, weights = np.polynomial.hermite_e.hermegauss(order)
    axis = torch.from_numpy(roots).to(like)
    mass = torch.from_numpy(weights / math.sqrt(2 * math.pi)).to(like)
    eps = torch.cartesian_prod(*[axis] * latents).view(-1, latents)
    products = torch.cartesian_prod(*[mass] * latents).view(-1, latents).prod(-1)
    return ExpectationNodes(eps, products, exact=True)


def antithetic(k: int, latents: int, like: Tensor, generator: torch.Generator) -> ExpectationNodes:
    """k random nodes in pairs ± ε: odd functions have no noise. k is rounded up to even."""
    half = torch.randn(
        (math.ceil(k / 2), latents), generator=generator, dtype=like.dtype, device=like.device
    )
    eps = torch.cat([half, -half])
    return ExpectationNodes(eps, torch.full_like(eps[:, 0], 1 / len(eps)), exact=False)
