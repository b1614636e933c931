"""The directions of z that the seen pixels inform, and Newton steps without a matrix.

In latents whose prior is N(0, I) the posterior's precision is I + H, with H = Jᵀ W J the curvature
of the likelihood. Its rank is at most the number of seen pixels, times parameters a pixel. Where
the first T latents have another prior it is I + H + X, with X in these latents alone.
"""

import torch
from torch import Tensor

from elboroom.infer.fitting.curvature import Curvature
from elboroom.model.posteriors import SubspaceGaussian
from elboroom.randomness import normals

_BLOCK = 32  # directions that are sought together
# Directions of less curvature than the prior's by this factor are left to the prior: each costs
# ½ (λ − log(1 + λ)) ≈ λ²/4 nats.
_LEAST = 0.05
_SHARE = 1e-12
_CG_STEPS = 60
_CG_RESIDUAL = 0.05  # of the gradient's length; Newton steps need no more


@torch.no_grad()
def informed_gaussian(
    curvature: Curvature, mean: Tensor, generator: torch.Generator, *, least: float = _LEAST
) -> SubspaceGaussian:
    """Return N(mean, (I + H + X)⁻¹), with H + X cut to eigenvalues of size `least` or more.

    The directions are the first T axes, so that X is kept as a whole, and beside them those of a
    randomised range finder with one subspace iteration, block by block until an eigenvalue is small
    enough: Halko, Martinsson & Tropp, *Finding structure with randomness* (2011), algorithms 4.4
    and 5.3. All rows share the random vectors, and each row stops on its own.

    Args:
        curvature: H of B rows.
        mean: (B, D).
        generator: random generator of the vectors that begin a block.
        least: the least size of an eigenvalue that is kept.
    """
    shaped, rows = curvature.shaped, torch.arange(len(mean), device=mean.device)
    most = min(curvature.most + shaped, mean.shape[-1])
    basis, projected = _first_axes(curvature, mean)
    found = dict[int, tuple[Tensor, Tensor]]()
    while len(rows):
        block = min(_BLOCK, most - basis.shape[-1])
        start = normals((block, 1, mean.shape[-1]), mean, generator).expand(-1, len(rows), -1)
        of_rows = curvature.rows(rows)
        basis, projected = _extended(of_rows, basis, projected, start)
        values, vectors = torch.linalg.eigh(projected)
        # At most T of the eigenvalues are small while all those beside the first axes are large.
        ready = (values[:, min(shaped, most - 1)] < least) | (basis.shape[-1] >= most)
        if shaped:
            axes = basis[:, :shaped]
            values, vectors = torch.linalg.eigh(projected + axes.mT @ of_rows.of_prior @ axes)
        for place in ready.nonzero()[:, 0].tolist():
            directions = basis[place] @ vectors[place]
            found[int(rows[place])] = _informed(directions, values[place], least)
        basis, projected, rows = basis[~ready], projected[~ready], rows[~ready]
    parts = [found[row] for row in range(len(mean))]
    return SubspaceGaussian.of_precision(mean, *_padded(parts))


def _first_axes(curvature: Curvature, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return the basis of the first T axes, (B, D, T), and H within it, (B, T, T)."""
    count = curvature.shaped
    if not count:
        return mean.new_zeros(*mean.shape, 0), mean.new_zeros(len(mean), 0, 0)
    axes = torch.eye(mean.shape[-1], count, dtype=mean.dtype, device=mean.device)
    basis = axes.repeat(len(mean), 1, 1)
    return basis, _times(curvature, basis)[:, :count]


def _extended(
    curvature: Curvature, basis: Tensor, projected: Tensor, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Add a block to an orthonormal basis Q (B, D, R), and to Qᵀ H Q, (B, R, R)."""
    block = _beside(start.permute(1, 2, 0), basis)
    for _ in range(2):
        # The share keeps the block apart from the basis where H is 0, as where nothing is seen.
        block = _beside(_times(curvature, block) + _SHARE * block, basis)
    image = _times(curvature, block)
    both = torch.cat([basis, block], -1)
    edge = both.mT @ image  # (B, R + block, block)
    upper = torch.cat([projected, edge[:, : basis.shape[-1]]], -1)
    lower = torch.cat([edge[:, : basis.shape[-1]].mT, edge[:, basis.shape[-1] :]], -1)
    whole = torch.cat([upper, lower], -2)
    return both, 0.5 * (whole + whole.mT)


def _times(curvature: Curvature, columns: Tensor) -> Tensor:
    """Compute H V, (B, D, R) → (B, D, R)."""
    return curvature.times(columns.permute(2, 0, 1)).permute(1, 2, 0)


def _beside(columns: Tensor, basis: Tensor) -> Tensor:
    """Return an orthonormal basis of the columns, orthogonal to another; twice, for rounding."""
    for _ in range(2):
        columns = torch.linalg.qr(columns - basis @ (basis.mT @ columns)).Q
    return columns


def _informed(directions: Tensor, values: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Return the eigenvectors (D, R) of the eigenvalues that count, and these, largest first."""
    kept = (values.abs() >= least).nonzero()[:, 0].flip(0)
    return directions[:, kept], values[kept]


def _padded(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Stack the directions and eigenvalues of rows, (B, D, R) and (B, R), with zeros at the end."""
    rank = max(1, *(len(values) for _, values in parts))
    wide = [
        (torch.nn.functional.pad(one, (0, rank - one.shape[-1])) for one in part) for part in parts
    ]
    directions, values = zip(*wide, strict=True)
    return torch.stack(directions), torch.stack(values)


@torch.no_grad()
def newton_step(curvature: Curvature, gradient: Tensor, damping: Tensor) -> Tensor:
    """Solve (I + H + X + λ c I) step = gradient by conjugate gradients for each row, (B, D).

    λ is the `damping`, (B,), and c the curvature along the gradient. Each row stops once its
    residual is small beside the gradient; the step then gains nearly what the exact one does.
    """
    size = gradient.square().sum(-1)
    along = curvature.times_with_prior(gradient[None])[0]
    shift = 1 + damping * (1 + (gradient * along).sum(-1) / size.clamp(min=1e-30))
    step, residual, direction, square = torch.zeros_like(gradient), gradient, gradient, size
    for _ in range(_CG_STEPS):
        active = square > _CG_RESIDUAL**2 * size
        if not active.any():
            break
        image = curvature.times_with_prior(direction[None])[0] + shift[:, None] * direction
        length = torch.where(active, square / (direction * image).sum(-1).clamp(min=1e-30), 0.0)
        step = step + length[:, None] * direction
        residual = residual - length[:, None] * image
        former, square = square, residual.square().sum(-1)
        direction = residual + (square / former.clamp(min=1e-30))[:, None] * direction
    return step
