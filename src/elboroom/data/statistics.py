"""The mean and standard deviation of each value of the data, and of values that share a scale."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from elboroom.data.part import Part
from elboroom.data.sharing import errors_of_all, sharers
from elboroom.data.source import rows_at_once
from elboroom.errors import DataError


@dataclass(frozen=True)
class Statistics:
    """Means and standard deviations over rows, in float64, of the values that are not missing.

    Attributes:
        mean: (*event); NaN where no row has a value.
        std: (*event); exactly 0 where all rows have the same value, NaN where none has one.
        count: (*event), the number of rows that have a value.
    """

    mean: Tensor
    std: Tensor
    count: Tensor

    @classmethod
    def of_units(cls, event_shape: tuple[int, ...]) -> "Statistics":
        """Return means 0 and standard deviations 1, for a model whose own are loaded later."""
        zeros = torch.zeros(event_shape, dtype=torch.float64)
        return cls(zeros, zeros + 1, zeros + 1)

    def pooled(self, shape: tuple[int, ...]) -> "Statistics":
        """Return the statistics of all values that share one place of `shape`.

        `shape` is that of the event, with 1 for each axis that is pooled; () pools all.
        """
        if shape == tuple(self.mean.shape):
            return self
        padded = shape or (1,) * self.mean.ndim
        axes = [axis for axis, size in enumerate(padded) if size == 1]
        count, weight = self.count.sum(axes, keepdim=True), self.count
        mean = (weight * self.mean.nan_to_num()).sum(axes, keepdim=True) / count
        # Var[x] = E[Var[x | place]] + Var[E[x | place]]
        squares = self.std.nan_to_num().square() + (self.mean - mean).nan_to_num().square()
        std = ((weight * squares).sum(axes, keepdim=True) / count).sqrt()
        return Statistics(mean.view(shape), std.view(shape), count.view(shape))

    def parts(self, sizes: Sequence[int]) -> list["Statistics"]:
        """Split those of vectors into parts of the given sizes."""
        split = (values.split(list(sizes)) for values in (self.mean, self.std, self.count))
        return [Statistics(*part) for part in zip(*split, strict=True)]

    @property
    def location(self) -> Tensor:
        """The mean, and 0 where there is none."""
        return self.mean.nan_to_num(0.0)

    @property
    def scale(self) -> Tensor:
        """The standard deviation, positive: a constant takes the geometric mean of the others.

        Raises:
            DataError: if all of them are constant.
        """
        varies = self.std > 0  # False for NaN
        if not varies.any():
            raise self._no_scale()
        typical = self.std[varies].log().mean().exp()
        return torch.where(varies, self.std, typical)

    def _no_scale(self) -> DataError:
        if self.count.max() == 1:
            return DataError(
                "the data have too few rows to train on",
                why="found one row with values in the training part; a standard deviation needs "
                "two or more",
                fix="give more rows; a part of them, at least one, is held out for testing",
            )
        return DataError(
            "the data have no scale",
            why="every value is the same in all rows of the training part",
            fix="give data that vary, or check how they were saved",
        )


def statistics_of(part: Part, measured: Callable[[Tensor], Tensor] = lambda x: x) -> Statistics:
    """Measure the statistics of a part in two passes, some rows at a time.

    Within `shared_passes`, ranks share a part on disk.

    Args:
        part: the rows x.
        measured: x (B, *event) → the values that are measured, (B, ...), with NaN for a missing
            one: `ObservationModel.measured`. By default they are those of x.
    """
    event = torch.zeros(1, *part.images.shape[1:], device=part.device)
    shape = tuple(measured(event).shape[1:])
    total = torch.zeros(shape, dtype=torch.float64, device=part.device)
    count, least, most = torch.zeros_like(total), total + torch.inf, total - torch.inf
    with errors_of_all(on_disk=part.on_disk):
        for x in map(measured, _values(part, shape)):
            total += x.nansum(0, dtype=torch.float64)
            count += (~x.isnan()).sum(0)
            least = least.minimum(x.nan_to_num(torch.inf).amin(0))
            most = most.maximum(x.nan_to_num(-torch.inf).amax(0))
    total, count = _of_all(part, total, torch.add), _of_all(part, count, torch.add)
    least, most = _of_all(part, least, torch.minimum), _of_all(part, most, torch.maximum)
    mean = total / count
    squares = torch.zeros_like(total)
    with errors_of_all(on_disk=part.on_disk):
        for x in map(measured, _values(part, shape)):
            squares += (x - mean).square().nansum(0)
    squares = _of_all(part, squares, torch.add)
    # The mean of equal values may be off by rounding.
    std = (squares / count).sqrt().masked_fill(least == most, 0.0)
    return Statistics(mean, std, count)


def _values(part: Part, measured: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield rows, as many at once as have room for them and for what is measured."""
    shapes = tuple(part.images.shape[1:]), measured
    yield from part.split_share(min(map(rows_at_once, shapes)))


def _of_all(part: Part, mine: Tensor, merge: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Merge what ranks found in their shares of a part, in their order; mine if all found all."""
    if not part.on_disk or sharers().size == 1:
        return mine
    ranks = sharers().spread([{"mine": mine}])
    return reduce(merge, [rank["mine"] for rank in ranks]).to(mine.device)
