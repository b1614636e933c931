"""The lattice points that hold the mass of each row."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cells:
    """N lattice points of B rows, one row after the other, without those of negligible mass.

    Attributes:
        offsets: (B + 1,), the index of each row's first point, and N.
        points: (N, D), the centres of the cells.
        log_joint: (N,), log p(x_seen, z) in nats.
        spacing: (B,), the side of each row's cells, float64.
        log_evidence: (B,), log p(x_seen) in nats, float64.
        error: (B,), the last change of `log_evidence` by a refinement.
    """

    offsets: Tensor
    points: Tensor
    log_joint: Tensor
    spacing: Tensor
    log_evidence: Tensor
    error: Tensor

    @cached_property
    def row(self) -> Tensor:
        """The row of each point, (N,)."""
        rows = torch.arange(len(self.spacing), device=self.offsets.device)
        return rows.repeat_interleave(self.offsets.diff())

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the points of each row, (N,) → (B,)."""
        return values.new_zeros(len(self.spacing)).index_add_(0, self.row, values)

    def of(self, row: int) -> tuple[Tensor, Tensor]:
        """Return the points (G, D) of one row and log p(x_seen, z) there (G,)."""
        own = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        return self.points[own], self.log_joint[own]
