"""A lattice of latent points that all rows share, scored only in tiles where a row has mass."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product

import torch
from torch import Tensor

from elboroom.infer.target import Target
from elboroom.model.priors import SharedMixture

SIDE = 16
"""Points along a tile: few enough to follow a posterior, many enough for matrix products."""

_PROBES = (2, 6, 10, 14)  # along a tile, where the curvature is looked at
_HALVES = slice(SIDE // 2 + 1), slice(SIDE // 2, None)  # along a tile, borders included
_NARROW = 1.0  # spacings that a standard deviation has, below which points may miss a component
_ROWS = 1 << 14  # that are scored at once
_CAUTION = 2.0  # the curvature may be larger between the probes
_NEGLIGIBLE = 60.0  # nats below the maximum
_FAR = 1 << 20  # beyond the coordinate of any tile


@dataclass(frozen=True)
class Tiles:
    """N pairs of a row and a tile of the lattice h ℤ^D, sorted by tile.

    Tile t holds the points h (16 t + o), o in {0 … 15}^D.

    Attributes:
        spacing: h.
        row: (N,).
        tile: (N, D), t.
    """

    spacing: float
    row: Tensor
    tile: Tensor

    @classmethod
    def of(cls, spacing: float, row: Tensor, tile: Tensor) -> "Tiles":
        """The pairs, sorted."""
        code = torch.zeros_like(row)
        for along in tile.unbind(-1):
            code = 2 * _FAR * code + along + _FAR
        order = code.argsort(stable=True)
        return cls(spacing, row[order], tile[order])

    @classmethod
    def every(cls, spacing: float, row: Tensor, tile: Tensor) -> "Tiles":
        """Every tile of (T, D) for every row of (R,)."""
        return cls.of(spacing, row.repeat(len(tile)), tile.repeat_interleave(len(row), 0))

    def __len__(self) -> int:
        return len(self.row)

    @property
    def corners(self) -> Tensor:
        """Where the parts of a tile are in it, in halves of its side, (2^D, D)."""
        return cube(torch.arange(2, device=self.tile.device), self.tile.shape[-1])

    def by_tile(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each tile (D,) with rows that keep it, some thousands at a time."""
        starts = (self.tile.diff(dim=0) != 0).any(-1).nonzero()[:, 0] + 1
        for pairs in torch.arange(len(self)).tensor_split(starts.cpu()):
            for some in pairs.split(_ROWS):
                yield self.tile[some[0]], self.row[some[0] : some[-1] + 1]

    def split(self, kept: Tensor) -> "Tiles":
        """The parts of tiles where `kept` (2^D, N), as tiles on the lattice of half the spacing."""
        part, pair = kept.nonzero(as_tuple=True)
        tile = 2 * self.tile[pair] + self.corners[part]
        return Tiles.of(self.spacing / 2, self.row[pair], tile)


@dataclass(frozen=True)
class Scores:
    """Log p(x_seen, z) on N pairs of a row and a tile, in nats. Each tile has 2^D parts.

    Attributes:
        log_joint: (16^D, N), at the points of the tile, the last dimension running fastest.
        log_sum: (N,), log Σ p(x_seen, z) over these, in float64.
        log_sparse_sum: (N,), the same over those on the lattice of twice the spacing.
        peak: (2^D, N), the largest in each part, its borders included.
        rise: (2^D, N), how far a mode between points may stand above the nearest of them.
    """

    log_joint: Tensor
    log_sum: Tensor
    log_sparse_sum: Tensor
    peak: Tensor
    rise: Tensor

    @classmethod
    def cat(cls, parts: "list[Scores]") -> "Scores":
        """All parts, one after the other."""
        columns = zip(
            *([getattr(part, f.name) for f in fields(cls)] for part in parts), strict=True
        )
        return cls(*(torch.cat(column, -1) for column in columns))


def score(target: Target, tiles: Tiles) -> Scores:
    """Score every pair; a point is decoded once for all the rows that keep its tile."""
    parts = []
    for tile, rows in tiles.by_tile():
        those = target if len(rows) == len(target) else target.rows(rows)
        parts.append(_score(those, tiles.spacing, tile))
    return Scores.cat(parts)


def cube(axis: Tensor, latents: int) -> Tensor:
    """All points of D coordinates on the axis (n,), (n^D, D), the last running fastest."""
    return torch.cartesian_prod(*[axis] * latents).view(-1, latents)


def _score(target: Target, spacing: float, tile: Tensor) -> Scores:
    """All rows of `target` on one tile (D,)."""
    closed = (SIDE + 1,) * target.latents  # a tile with its far borders, where the next ones begin
    borders = cube(torch.arange(SIDE + 1, device=tile.device), target.latents)
    z = (spacing * (SIDE * tile + borders)).to(target.x)
    parameter = target.model.decoder(z)
    likelihood = target.model.likelihood(parameter).log_prob_table(target.x, target.mask)
    table = (target.model.prior(1).log_prob(z[:, None]) + likelihood).unflatten(0, closed)
    own = table[(slice(SIDE),) * target.latents]
    probes = len(_PROBES) // 2
    peak = _peaks(table, *_HALVES)
    rise = _peaks(_rise(target, z, parameter, spacing), slice(probes), slice(probes, None))
    hidden = _hidden(target, z.unflatten(0, closed), spacing)
    if hidden is not None:
        log_prior, steep = hidden
        # max p(x, z) ≤ max p(z) · max p(x | z)
        peak = peak.maximum(log_prior + _peaks(likelihood.unflatten(0, closed), *_HALVES))
        rise = rise.maximum(steep)
    return Scores(own.flatten(0, -2), *_log_sums(own), peak, rise)


def _hidden(target: Target, z: Tensor, spacing: float) -> tuple[Tensor, Tensor] | None:
    """What each part of a tile may hold of a prior's components that are too narrow to be seen.

    Args:
        target: whose prior it is.
        z: the points of the tile, (17, …, D).
        spacing: h.

    Returns:
        The largest log π_c N(z; μ_c, σ_c²) there, and how far it may rise, both (2^D, 1); None if
        all components are wide, or the prior has none.
    """
    prior = target.model.prior(1)
    if not isinstance(prior, SharedMixture):
        return None
    low, high = z[(0,) * target.latents], z[(SIDE // 2,) * target.latents]
    corners = cube(torch.arange(2, device=z.device), target.latents) * (high - low)
    bounds = prior.log_bounds(low + corners, high + corners, _NARROW * spacing)
    if bounds is None:
        return None
    log_prior, trace = bounds
    rise = _CAUTION * target.latents / 8 * spacing**2 * trace
    return log_prior[:, None], rise[:, None]


def _log_sums(table: Tensor) -> tuple[Tensor, Tensor]:
    """Log Σ exp of a table with D + 1 axes (..., B), and of every second point of it, (B,)."""
    top = table.flatten(0, -2).amax(0)
    # where exp would underflow it is slow
    mass = (table - top).clamp_(min=-_NEGLIGIBLE).exp_()
    sparse = mass[(slice(None, None, 2),) * (table.ndim - 1)]
    sums = (part.flatten(0, -2).sum(0).double() for part in (mass, sparse))
    log_sum, log_sparse_sum = (part.log() + top for part in sums)
    return log_sum, log_sparse_sum


def _peaks(table: Tensor, first: slice, second: slice) -> Tensor:
    """The largest in each part of a table with D + 1 axes (..., B), (2^D, B)."""
    parts = product((first, second), repeat=table.ndim - 1)
    return torch.stack([table[part].flatten(0, -2).amax(0) for part in parts])


def _rise(target: Target, z: Tensor, parameter: Tensor, spacing: float) -> Tensor:
    """How far a mode may stand above the nearest point, near each probe of a tile, (..., B).

    Its curvature is taken to be the Fisher information of the seen pixels on z, and the prior's.
    """
    latents, device = target.latents, parameter.device
    probes = cube(torch.tensor(_PROBES, device=device), latents)
    strides = (SIDE + 1) ** torch.arange(latents - 1, -1, -1, device=device)
    at = (probes * strides).sum(-1)
    information = target.model.likelihood(parameter[at]).information().flatten(1)
    steps = torch.stack([parameter[at + s] - parameter[at - s] for s in strides]).flatten(2) / 2
    pixels = information * steps.square().sum(0)  # (probes, P): h² tr Jᵀ W J, pixel by pixel
    if target.mask is None:
        seen = pixels.sum(1, keepdim=True).expand(-1, len(target))
    else:
        seen = pixels @ target.mask.flatten(1).to(pixels).T
    precision = target.model.prior.curvature(z[at])[1].diagonal(dim1=-2, dim2=-1).sum(-1)
    # ½ δᵀ Λ δ ≤ ⅛ D h² tr Λ for |δ_d| ≤ ½ h, with Λ = Jᵀ W J + P
    rise = _CAUTION * latents / 8 * (seen + spacing**2 * precision[:, None])
    return rise.unflatten(0, (len(_PROBES),) * latents)
