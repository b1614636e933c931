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


def damped_newton_step(gradient: Tensor, precision: Tensor, damping: Tensor) -> Tensor:
    """Solve (P + λ diag P) step = gradient for each row, (B, D), with λ (B,): Marquardt (1963)."""
    diagonal = precision.diagonal(dim1=-1, dim2=-2)
    damped = precision + torch.diag_embed(damping[:, None] * diagonal)
    return torch.cholesky_solve(gradient[..., None], torch.linalg.cholesky(damped))[..., 0]


def inverse_root(precision: Tensor) -> Tensor:
    """Return the upper triangular A with A Aᵀ = precision⁻¹, (B, D, D)."""
    factor = torch.linalg.cholesky(precision)
    identity = torch.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    # precision = C Cᵀ, so that A = C⁻ᵀ
    return torch.linalg.solve_triangular(factor.mT, identity.expand_as(factor), upper=True)


def principal_directions(values: Tensor, count: int) -> Tensor:
    """Return the first principal directions of values (N, D), (count, D), with fixed signs."""
    directions = torch.linalg.svd(values - values.mean(0), full_matrices=False).Vh[:count]
    return directions * directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
