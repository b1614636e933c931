"""A lattice with the scores of the rows on it."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elboroom.infer.lattice.decoded_tiles import Decode
from elboroom.infer.lattice.tiles import Scores, Tiles, score
from elboroom.infer.target import Target

DEPTH = 20.0
"""Nats below a row's maximum at which mass is neglected."""


@dataclass(frozen=True)
class ScoredLattice:
    """A lattice with the scores of the active rows among B."""

    tiles: Tiles
    scores: Scores
    rows: int

    @classmethod
    def of(cls, target: Target, tiles: Tiles, decode: Decode) -> "ScoredLattice":
        """Score the tiles."""
        return cls(tiles, score(target, tiles, decode), len(target))

    @property
    def latents(self) -> int:
        """The number of latent dimensions, D."""
        return self.tiles.tile.shape[-1]

    @cached_property
    def top(self) -> Tensor:
        """The largest log p(x_seen, z) of each row, (B,); −∞ for inactive rows."""
        return self._max(self.scores.peak)

    @cached_property
    def kept(self) -> Tensor:
        """True where a row may have mass in a part of a tile, (2^D, N)."""
        floor = (self.top - DEPTH)[self.tiles.row]
        return self.scores.peak + self.scores.possible_rise >= floor

    @cached_property
    def possible_rise(self) -> Tensor:
        """The largest possible rise of a mode between points, (B,)."""
        return self._max(self.scores.possible_rise.masked_fill(~self.kept, -math.inf))

    def possible_rise_near_top(self, depth: float) -> Tensor:
        """Return `possible_rise` where log p(x_seen, z) is within `depth` nats of its top, (B,)."""
        elsewhere = self.scores.peak < (self.top - depth)[self.tiles.row]
        return self._max(self.scores.possible_rise.masked_fill(elsewhere, -math.inf))

    @cached_property
    def log_evidence(self) -> Tensor:
        """log p(x_seen) in nats, (B,)."""
        return self._integral(self.scores.log_sum, self.tiles.spacing)

    @cached_property
    def error(self) -> Tensor:
        """The difference of `log_evidence` from that of twice the spacing, (B,)."""
        sparse = self._integral(self.scores.log_sparse_sum, 2 * self.tiles.spacing)
        return (self.log_evidence - sparse).abs()

    @cached_property
    def active(self) -> Tensor:
        """True for rows that have tiles on this lattice, (B,)."""
        none = torch.zeros(self.rows, dtype=torch.bool, device=self.tiles.row.device)
        return none.index_fill(0, self.tiles.row, True)

    def joined(self, other: "ScoredLattice") -> "ScoredLattice":
        """Join this lattice with other tiles of it."""
        row = torch.cat([self.tiles.row, other.tiles.row])
        tile = torch.cat([self.tiles.tile, other.tiles.tile])
        tiles = Tiles(self.tiles.spacing, row, tile)
        return ScoredLattice(tiles, Scores.cat([self.scores, other.scores]), self.rows)

    def rows_at_border(self, reach: int) -> Tensor:
        """Return the rows (M,) that may have mass at the border of ± `reach` tiles."""
        part = 2 * self.tiles.tile + self.tiles.corners[:, None]
        at_border = ((part == -2 * reach) | (part == 2 * reach - 1)).any(-1)
        return self.tiles.row[(self.kept & at_border).any(0)].unique()

    def _integral(self, log_sum: Tensor, spacing: float) -> Tensor:
        # log p(x) = log ∫ p(x, z) dz ≈ log Σ_g p(x, z_g) + D log h
        row, top = self.tiles.row, self._max(log_sum[None])
        total = torch.zeros_like(top).index_add_(0, row, (log_sum - top[row]).exp())
        return total.log() + top + self.latents * math.log(spacing)

    def _max(self, values: Tensor) -> Tensor:
        """Return the largest of each row's values (..., N), (B,)."""
        none = torch.full((self.rows,), -math.inf, dtype=values.dtype, device=values.device)
        return none.scatter_reduce(0, self.tiles.row, values.amax(0), "amax")
