"""Linear algebra on a batch of rows, and product grids."""

import torch
from torch import Tensor


def times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply each row's matrix (*S, D, R) with its vectors (..., *S, R), (..., *S, D)."""
    rows = matrices.shape[:-2]
    flat = vectors.reshape(-1, rows.numel(), vectors.shape[-1])
    product = torch.einsum("sdr,ksr->ksd", matrices.flatten(0, -3), flat)
    return product.reshape(*vectors.shape[:-1], matrices.shape[-2])


def times_shared(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply each row's matrix (*S, D, R) with vectors (K, R) of all rows, (K, *S, D)."""
    return torch.einsum("...ij,kj->k...i", matrices, vectors)


def product_grid(axis: Tensor, latents: int) -> Tensor:
    """Return all points with D coordinates on the axis (n,), (n^D, D); the last runs fastest."""
    return torch.cartesian_prod(*[axis] * latents).view(-1, latents)
