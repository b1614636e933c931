"""The posterior density between the points of a lattice."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from elboroom.infer.lattice.cells import Cells
from elboroom.model.linear_algebra import product_grid
from elboroom.randomness import uniforms


@dataclass(frozen=True)
class Interpolation:
    """log p(x_seen, z) within N cells: the quadratic through a cell's point and those around it.

    At z_g + h u, for u in [−½, ½]^D, it is log p(x_seen, z_g) + aᵀu + ½ uᵀHu. For a Gaussian that
    is exact. The error of moments is O(h⁴), where it is O(h²) for a density constant in each cell.

    Attributes:
        cells: the cells.
        slope: (N, D), a, in float64.
        curvature: (N, D, D), H, in float64; as `slope` it is 0 at the border of the cells.
    """

    cells: Cells
    slope: Tensor
    curvature: Tensor

    @classmethod
    def of(cls, cells: Cells) -> "Interpolation":
        """Take the central differences of the cells' log-densities."""
        at = _around(cells)
        steps = torch.eye(cells.points.shape[-1], dtype=torch.long, device=cells.points.device)
        pairs = [(at(step), at(-step)) for step in steps]
        # a_d = ½ (ℓ(z + h e_d) − ℓ(z − h e_d)),  H_dd = ℓ(z + h e_d) − 2 ℓ(z) + ℓ(z − h e_d)
        slope = torch.stack([(after - before) / 2 for after, before in pairs], -1)
        curvature = torch.diag_embed(torch.stack([a + b for a, b in pairs], -1))
        for i, j in combinations(range(len(steps)), 2):
            s, t = steps[i], steps[j]
            # H_ij = ¼ (ℓ(z + h e_i + h e_j) − ℓ(z + h e_i − h e_j) − … + ℓ(z − h e_i − h e_j))
            mixed = (at(s + t) - at(s - t) - at(t - s) + at(-s - t)) / 4
            curvature[:, i, j] = curvature[:, j, i] = mixed
        return cls(cells, slope.nan_to_num(0.0), curvature.nan_to_num(0.0))

    @property
    def limit(self) -> Tensor:
        """An upper bound of the rise of log p(x_seen, z) above a cell's point, (N,), in nats."""
        # Σ_d (½ |a_d| + ⅛ max(H_dd, 0)) + ⅛ Σ_{i≠j} |H_ij|
        bent = self.curvature.abs().sum((1, 2))
        hollow = self.curvature.diagonal(dim1=1, dim2=2).clamp(max=0).sum(1)
        return self.slope.abs().sum(1) / 2 + (bent + hollow) / 8

    def rise(self, cell: Tensor, u: Tensor) -> Tensor:
        """Compute the rise above the point of cells (M,), at u (M, D), in nats, (M,)."""
        # einsum would look for the best order of its factors in every call
        quadratic = (u[:, :, None] * self.curvature[cell] * u[:, None]).sum((1, 2))
        return (self.slope[cell] * u).sum(-1) + quadratic / 2

    def refined(self, parts: int) -> tuple[Tensor, Tensor]:
        """Return parts^D points in each cell, (N, parts^D, D), and log p(x_seen, z) there."""
        latents = self.slope.shape[1]
        u = product_grid((torch.arange(parts).to(self.slope) + 0.5) / parts - 0.5, latents)
        cell = torch.arange(len(self.slope), device=u.device).repeat_interleave(len(u))
        rise = self.rise(cell, u.repeat(len(self.slope), 1)).view(-1, len(u))
        spacing = self.cells.spacing[self.cells.row][:, None, None]
        points = self.cells.points[:, None] + spacing * u
        return points, self.cells.log_joint[:, None] + rise

    def sample(self, k: int, probabilities: Tensor, generator: torch.Generator) -> Tensor:
        """Draw k times from each row by rejection, (k, B, D), in float64.

        Args:
            k: number of draws.
            probabilities: (N,), in float64, proportional to p(x_seen, z_g) in each row.
            generator: random generator; how much is drawn from it is random, too.
        """
        rows, latents = len(self.cells.spacing), self.slope.shape[1]
        limit = self.limit
        # A cell is proposed in proportion to its mass under the bound, and u is uniform.
        mass = (probabilities * limit.exp()).cumsum(0)
        z = self.slope.new_empty(k * rows, latents)
        left = torch.arange(k * rows, device=z.device)
        while len(left):
            cell = self._propose(left % rows, mass, generator)
            u = uniforms((len(left), latents), z, generator) - 0.5
            level = uniforms((len(left),), z, generator).log()
            accepted = level <= self.rise(cell, u) - limit[cell]
            # z = z_g + h u
            found = self.cells.points[cell] + self.cells.spacing[left % rows, None] * u
            z[left[accepted]] = found[accepted]
            left = left[~accepted]
        return z.unflatten(0, (k, rows))

    def _propose(self, row: Tensor, mass: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a cell for each of some rows (M,), by the cumulative mass of all cells."""
        start, end = self.cells.offsets[row], self.cells.offsets[row + 1]
        below = torch.where(start > 0, mass[start - 1], 0.0)
        level = below + uniforms((len(row),), mass, generator) * (mass[end - 1] - below)
        return torch.searchsorted(mass, level, right=True).clamp(start, end - 1)


def _around(cells: Cells) -> Callable[[Tensor], Tensor]:
    """Return the look-up of the log-density one step (D,) from each cell, less its own, (N,).

    It is NaN where there is no cell.
    """
    row = cells.row
    index = (cells.points.double() / cells.spacing[row, None]).round().long()
    index = index - index.amin(0) + 1  # room for a step to either side
    sizes = index.amax(0) + 2
    strides = sizes.flip(0).cumprod(0).flip(0) // sizes
    keys, order = (row * sizes.prod() + (index * strides).sum(-1)).sort()
    log_joint = cells.log_joint.double()
    own = torch.empty_like(keys)
    own[order] = keys

    def at(step: Tensor) -> Tensor:
        wanted = own + (step * strides).sum()
        place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        found = log_joint[order[place]] - log_joint
        return found.masked_fill(keys[place] != wanted, torch.nan)

    return at
