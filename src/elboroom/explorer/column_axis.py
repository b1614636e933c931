"""The axis of a column: the values at which its density is given."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elboroom.explorer.column_mixture import ColumnMixture
from elboroom.explorer.columns import AxisKind, Domain

_POINTS = 201
_TAIL = 1e-3  # share of the draws beyond each end, before the axis is extended
_ROOM = 0.25  # of the range of the draws that the axis is extended by at each end
_ENDS = (0.05, 0.95)  # of the interval


@dataclass(frozen=True)
class ColumnAxis:
    """The values of a column that are likely.

    Attributes:
        domain: the values that the column may have.
        points: some of them as the model has them, ascending, (G,), float64.
    """

    domain: Domain
    points: Tensor

    @classmethod
    def of(cls, domain: Domain, column: ColumnMixture, generator: torch.Generator) -> "ColumnAxis":
        """Choose the values by draws of the column: 201 of them, or all levels."""
        if domain.kind == "levels":
            return cls(domain, torch.arange(int(domain.high) + 1, dtype=torch.float64))
        drawn = column.sample(generator).double()
        if domain.kind == "logarithmic":
            return cls(domain, _even(*_range(drawn.log(), column)).exp())
        low, high = _range(drawn, column)
        low, high = max(low, domain.low), min(high, domain.high)
        if domain.step is None:
            return cls(domain, _even(low, high))
        return cls(domain, _steps(low, high, domain.step))

    @property
    def kind(self) -> AxisKind:
        """The kind of the axis."""
        return self.domain.kind

    def log_density(self, column: ColumnMixture) -> Tensor:
        """Compute log p(x_j | z_s) at the points per unit of x, (S, G), float64."""
        log_p = column.log_prob(self.points.to(column.log_weights)).double()
        return log_p - self.domain.log_step

    def interval(self, density: Tensor) -> tuple[float, float]:
        """Return the ends of the interval of 90 %, from the density at the points, (G,)."""
        if self.domain.step is None:
            mass = density * torch.gradient(self.points)[0]
            # Half the mass of a point lies below it.
            below = (mass.cumsum(0) - mass / 2) / mass.sum()
            low, high = np.interp(_ENDS, below.numpy(), self.points.numpy()).tolist()
        else:
            below = density.cumsum(0) / density.sum()
            ends = torch.searchsorted(below, below.new_tensor(_ENDS))
            low, high = self.points[ends.clamp(max=len(below) - 1)].tolist()
        return low, high


def _even(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, _POINTS, dtype=torch.float64)


def _steps(low: float, high: float, step: float) -> Tensor:
    """Return all steps of a range, or evenly some of too many."""
    first, last = math.floor(low / step), math.ceil(high / step)
    stride = 1 + (last - first) // _POINTS
    return step * torch.arange(first, last + 1, stride, dtype=torch.float64)


def _range(drawn: Tensor, column: ColumnMixture) -> tuple[float, float]:
    """Return the range of nearly all of some draws (S,), extended at both ends."""
    ordered, order = drawn.sort()
    below = column.log_weights.double().exp()[order].cumsum(0)
    ends = torch.searchsorted(below, below.new_tensor([_TAIL, 1 - _TAIL]))
    low, high = ordered[ends.clamp(max=len(drawn) - 1)].tolist()
    room = _ROOM * (high - low) or 1.0
    return low - room, high + room
