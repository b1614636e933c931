"""A lattice of latent points that all rows share, scored in the tiles where a row has mass."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from elboroom.infer.lattice.decoded_tiles import PROBES, SIDE, Decode, points_of, probes_of
from elboroom.infer.target import Target
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.linear_algebra import product_grid
from elboroom.model.priors import SharedMixture

_HALVES = slice(SIDE // 2 + 1), slice(SIDE // 2, None)  # halves of a tile, borders included
_NARROW = 1.0  # spacings: points may miss a component of smaller standard deviation
_ROWS = 1 << 14  # rows that are scored at once
_VALUES = 1 << 14  # log p(x_seen, z) that are computed at once for tiles of the same rows
_CAUTION = 2.0  # safety factor: the curvature may be larger between the probes
_NEGLIGIBLE = 60.0  # nats below the maximum
_FAR = 1 << 20  # larger than the coordinate of any tile


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
        """Sort the pairs by tile."""
        code = torch.zeros_like(row)
        for along in tile.unbind(-1):
            code = 2 * _FAR * code + along + _FAR
        order = code.argsort(stable=True)
        return cls(spacing, row[order], tile[order])

    @classmethod
    def every(cls, spacing: float, row: Tensor, tile: Tensor) -> "Tiles":
        """Pair every tile of (T, D) with every row of (R,)."""
        return cls.of(spacing, row.repeat(len(tile)), tile.repeat_interleave(len(row), 0))

    def __len__(self) -> int:
        return len(self.row)

    @property
    def corners(self) -> Tensor:
        """The positions of the parts of a tile within it, in halves of its side, (2^D, D)."""
        return product_grid(torch.arange(2, device=self.tile.device), self.tile.shape[-1])

    def by_rows(self, most: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield tiles (T, D), T ≤ `most`, with the rows that keep each of them, 16,384 at most."""
        if bool((self.row == self.row[0]).all()):  # a tile is paired once with a row
            yield from ((tiles, self.row[:1]) for tiles in self.tile.split(most))
            return
        together, rows = list[Tensor](), self.row[:0]
        for tile, own in self._by_tile():
            if together and (len(together) == most or not torch.equal(own, rows)):
                yield torch.stack(together), rows
                together = []
            rows = own
            together.append(tile)
        if together:
            yield torch.stack(together), rows

    def _by_tile(self) -> Iterator[tuple[Tensor, Tensor]]:
        starts = (self.tile.diff(dim=0) != 0).any(-1).nonzero()[:, 0] + 1
        for pairs in torch.arange(len(self)).tensor_split(starts.cpu()):
            for some in pairs.split(_ROWS):
                yield self.tile[some[0]], self.row[some[0] : some[-1] + 1]

    def split(self, kept: Tensor) -> "Tiles":
        """Return the parts where `kept` (2^D, N) is True, as tiles of half the spacing."""
        part, pair = kept.nonzero(as_tuple=True)
        tile = 2 * self.tile[pair] + self.corners[part]
        return Tiles.of(self.spacing / 2, self.row[pair], tile)


@dataclass(frozen=True)
class Scores:
    """log p(x_seen, z) on N pairs of a row and a tile, in nats. Each tile has 2^D parts.

    Attributes:
        log_joint: (16^D, N), at the points of the tile, the last dimension running fastest.
        log_sum: (N,), log Σ p(x_seen, z) over these points, in float64.
        log_sparse_sum: (N,), the same over the points on the lattice of twice the spacing.
        peak: (2^D, N), the largest value in each part, its borders included.
        possible_rise: (2^D, N), how far a mode may rise above the nearest point.
    """

    log_joint: Tensor
    log_sum: Tensor
    log_sparse_sum: Tensor
    peak: Tensor
    possible_rise: Tensor

    @classmethod
    def cat(cls, parts: "list[Scores]") -> "Scores":
        """Concatenate the pairs of all parts."""
        return cls(
            torch.cat([part.log_joint for part in parts], -1),
            torch.cat([part.log_sum for part in parts]),
            torch.cat([part.log_sparse_sum for part in parts]),
            torch.cat([part.peak for part in parts], -1),
            torch.cat([part.possible_rise for part in parts], -1),
        )


def score(target: Target, tiles: Tiles, decode: Decode) -> Scores:
    """Score every pair; a point is decoded once for all rows that keep its tile.

    Tiles of the same few rows are scored together, in as many points as are decoded together.
    """
    points = (SIDE + 1) ** target.latents
    most = decoded_at_a_time(target.model, target.x) // points
    together = max(1, min(most, _VALUES // (points * len(target))))
    parts = []
    for some, rows in tiles.by_rows(together):
        those = target if len(rows) == len(target) else target.rows(rows)
        parts.append(_score(those, tiles.spacing, some, decode))
    return Scores.cat(parts)


def _score(target: Target, spacing: float, tiles: Tensor, decode: Decode) -> Scores:
    """Score all rows of `target` on some tiles, (T, D)."""
    closed = (len(tiles), *(SIDE + 1,) * target.latents)
    z, decoded = points_of(target.x, spacing, tiles), decode(target.x, spacing, tiles)
    likelihood = torch.cat([d.likelihood.log_prob_table(target.x, target.mask) for d in decoded])
    table = target.model.prior(1).log_prob(z.flatten(0, 1)[:, None]) + likelihood
    table = table.unflatten(0, closed)
    peak = _peaks(table, *_HALVES)
    probes = z.flatten(0, 1)[probes_of(tiles)[0]]
    rise = _possible_rise(target, probes, torch.cat([d.information for d in decoded]), spacing)
    rise = rise.unflatten(0, (len(tiles), *(len(PROBES),) * target.latents))
    rise = _peaks(rise, slice(half := len(PROBES) // 2), slice(half, None))
    narrow = _narrow_components(target, z.unflatten(1, closed[1:]), spacing)
    if narrow is not None:
        log_prior, rise_of_narrow = narrow
        # max p(x, z) ≤ max p(z) · max p(x | z)
        peak = peak.maximum(log_prior + _peaks(likelihood.unflatten(0, closed), *_HALVES))
        rise = rise.maximum(rise_of_narrow)
    own = table[:, *(slice(SIDE),) * target.latents]
    log_joint = own.flatten(1, -2).transpose(0, 1)
    return Scores(*(v.flatten(-2) for v in (log_joint, *_log_sums(own), peak, rise)))


def _narrow_components(target: Target, z: Tensor, spacing: float) -> tuple[Tensor, Tensor] | None:
    """Bound the prior's components that are too narrow to show at the points of tiles.

    Args:
        target: the target, whose prior is used.
        z: the points of T tiles, (T, 17, …, D).
        spacing: h.

    Returns:
        The largest log π_c N(z; μ_c, σ_c²) in each part, and its possible rise, both (2^D, T, 1);
        None if no component is narrow, or the prior has no components.
    """
    prior = target.model.prior(1)
    if not isinstance(prior, SharedMixture):
        return None
    latents = target.latents
    low, high = z[:, *(0,) * latents], z[:, *(SIDE // 2,) * latents]
    corners = product_grid(torch.arange(2, device=z.device), latents)[:, None] * (high - low)
    boxes = (low + corners).flatten(0, 1), (high + corners).flatten(0, 1)
    bounds = prior.log_bounds(*boxes, _NARROW * spacing)
    if bounds is None:
        return None
    log_prior, trace = (bound.unflatten(0, corners.shape[:2])[..., None] for bound in bounds)
    return log_prior, _CAUTION * latents / 8 * spacing**2 * trace


def _log_sums(table: Tensor) -> tuple[Tensor, Tensor]:
    """Compute log Σ exp of T tables (T, ..., B), and of every second point, (T, B)."""
    latents = table.ndim - 2
    top = table.flatten(1, -2).amax(1)
    # exp is slow where it underflows.
    mass = (table - top[:, *(None,) * latents]).clamp_(min=-_NEGLIGIBLE).exp_()
    sparse = mass[:, *(slice(None, None, 2),) * latents]
    sums = (part.flatten(1, -2).sum(1).double() for part in (mass, sparse))
    log_sum, log_sparse_sum = (part.log() + top for part in sums)
    return log_sum, log_sparse_sum


def _peaks(table: Tensor, first: slice, second: slice) -> Tensor:
    """Return the largest value in each part of T tables (T, ..., B), (2^D, T, B)."""
    parts = product((first, second), repeat=table.ndim - 2)
    return torch.stack([table[:, *part].flatten(1, -2).amax(1) for part in parts])


def _possible_rise(target: Target, z: Tensor, information: Tensor, spacing: float) -> Tensor:
    """Bound how far a mode rises above the nearest point, near P probes, (P, B).

    The curvature is taken to be the Fisher information of the seen pixels on z, plus the prior's.

    Args:
        target: the target.
        z: the probes, (P, D).
        information: that of each entry of the parameter, (P, L); see `DecodedTiles`.
        spacing: h.
    """
    if target.mask is None:
        seen = information.sum(1, keepdim=True).expand(-1, len(target))
    else:
        mask = target.model.likelihood.density.parameter_mask(target.mask)
        seen = information @ mask.flatten(1).to(information).T
    precision = target.model.prior.curvature(z)[1].diagonal(dim1=-2, dim2=-1).sum(-1)
    # ½ δᵀ Λ δ ≤ ⅛ D h² tr Λ for |δ_d| ≤ ½ h, with Λ = Jᵀ W J + P
    return _CAUTION * target.latents / 8 * (seen + spacing**2 * precision[:, None])
