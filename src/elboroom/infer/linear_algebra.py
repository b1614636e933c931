"""Linear algebra on a batch of rows, and product grids."""

import torch
from torch import Tensor


def times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply each row's matrix (B, D, R) with its vectors (C, B, R), (C, B, D)."""
    return torch.einsum("bij,cbj->cbi", matrices, vectors)


def times_shared(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply each row's matrix (B, D, R) with vectors (K, R) that all rows share, (K, B, D)."""
    return torch.einsum("bij,kj->kbi", matrices, vectors)


def product_grid(axis: Tensor, latents: int) -> Tensor:
    """Return all points with D coordinates on the axis (n,), (n^D, D); the last runs fastest."""
    return torch.cartesian_prod(*[axis] * latents).view(-1, latents)
