"""The observation model of a table: the units, the noise and the thresholds of its columns."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.columns.family import ColumnStart
from elboroom.model.likelihoods.columns.layout import Layout
from elboroom.model.likelihoods.columns.table import Table, TableUnits, columns_class
from elboroom.model.likelihoods.columns.thresholds import FixedThresholds, LearnedThresholds
from elboroom.model.likelihoods.noise import FixedNoise, LearnedNoise
from elboroom.model.likelihoods.observation import WIDE, ObservationModel
from elboroom.model.likelihoods.standardised import require_float32_scale

# Of few rows others seem to determine a column; less noise makes log p(x) of new rows arbitrary.
_LEAST_NOISE = 0.03
_OF_PLACES = ("location", "spread", "seen_location", "seen_spread", "fill")


class TableModel(ObservationModel):
    """A map from the decoder's output to the density of a row of a table.

    At an output of 0 each column has its marginal density in the training part. The buffers have
    the columns in the order of the layout, and the noise in that of the table.

    Args:
        columns: the likelihood of each column, as `ModelConfig.columns` has them.

    Attributes:
        columns: the same.
        noise: the scale of each column, of which those without one have no use; None if no column
            has one.
        thresholds: those of the ordinal columns; None if there are none.
    """

    location: Tensor
    spread: Tensor
    seen_location: Tensor
    seen_spread: Tensor
    fill: Tensor
    start: Tensor

    def __init__(self, columns: tuple[str, ...]) -> None:
        kind, count = columns_class(columns), len(columns)
        has_scale = any(block.family.has_scale for block in kind.layout.blocks)
        super().__init__(kind, LearnedNoise((count,), 1.0, _LEAST_NOISE) if has_scale else None)
        self.columns = tuple(columns)
        self.thresholds: LearnedThresholds | FixedThresholds | None = None
        if self.layout.thresholds is not None:
            self.thresholds = LearnedThresholds(self.layout.blocks[self.layout.thresholds].levels)
        for name in _OF_PLACES:
            # The value 1 fits every family, before any is measured.
            at_first = torch.zeros(count) if name.endswith("location") else torch.ones(count)
            self.register_buffer(name, at_first)
        self.register_buffer("start", torch.zeros(self.layout.entries))

    @property
    def layout(self) -> Layout:
        """The order in which the columns are computed."""
        return self.density.layout

    @property
    def density(self) -> type[Table]:
        """The class of the densities."""
        return cast(type[Table], self.kind)

    @property
    def depends_on_data(self) -> bool:
        """True: every column begins at its marginal density."""
        return True

    def measured(self, x: Tensor) -> Tensor:
        """Compute the values whose statistics `measure` takes, (B, D) → (B, F); NaN stays NaN."""
        parts = zip(self.layout.blocks, self._sorted(x), strict=True)
        return torch.cat([b.family.measured(values, b.levels) for b, values in parts], -1)

    def measured_shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (F,), the shape of what is measured of a row."""
        return (sum(self.layout.measured_sizes),)

    def measure(self, statistics: Statistics) -> None:
        """Take units, shares and the initial noise from the statistics of `measured`.

        Raises:
            DataError: the spread of a column is beyond the range of float32.
        """
        parts = zip(self.layout.blocks, statistics.parts(self.layout.measured_sizes), strict=True)
        starts = [block.family.start(found, block.levels) for block, found in parts]
        self._require_scales(starts)
        for name in _OF_PLACES:
            getattr(self, name).copy_(torch.cat([getattr(start, name) for start in starts]))
        self.start.copy_(torch.cat([start.entries for start in starts]))
        self._begin_at(starts)
        self.is_measured.fill_(True)

    def forward(self, parameter: Tensor) -> Table:
        """Return the density of x for each output of the decoder, (..., E)."""
        return self.density(parameter + self.start, self._units())

    def wide(self, x: Tensor) -> Table:
        """Return independent columns at an output of 0, with wide scales, (1, E)."""
        units = self._units()
        wide = units._replace(scale=torch.full_like(units.scale, WIDE))
        return self.density(self.start[None], wide)

    def marginals(self, statistics: Statistics) -> Table:
        """Return the density of independent columns with the statistics of `measured`, (1, E)."""
        model = TableModel(self.columns).double()
        model.measure(statistics)
        return model.requires_grad_(False)(torch.zeros_like(model.start)[None])

    def encoder_input(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute what the encoder sees of x (B, D), (B, E + D).

        The columns are in the order of the table. Each has its standardised t(x), or 1 at its level
        and 0 at the others, and 0 where it is unseen. The mask follows, 1 where a value is seen.
        """
        index = self.layout.on(x.device)
        seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand_as(x)
        units = (v.split(self.layout.sizes) for v in (self.seen_location, self.seen_spread))
        parts = zip(self.layout.blocks, self._sorted(x), *units, strict=True)
        found = [b.family.encoded(*values, b.levels) for b, *values in parts]
        inputs = torch.cat(found, -1)[..., index.inputs]
        inputs = inputs.masked_fill(~seen[..., index.input_owner], 0.0)
        return torch.cat([inputs, seen.to(inputs.dtype)], -1)

    def pseudo_inputs(self, x: Tensor) -> Tensor:
        """Compute where pseudo-inputs of a prior start, from rows x in which NaN is missing."""
        return self.encoder_input(x, ~x.isnan())

    def standardise(self, x: Tensor) -> Tensor:
        """Return what the networks see of rows without a missing value."""
        return self.encoder_input(x, None)

    def restricted_to(self, values: Tensor, event_shape: tuple[int, ...]) -> "TableModel":
        """Return the model of some columns, for constant parameters."""
        small = TableModel(tuple(self.columns[place] for place in values.tolist()))
        index = self.layout.on(values.device)
        places = index.inverse[values[small.layout.on(values.device).order]]
        for name in _OF_PLACES:
            setattr(small, name, getattr(self, name)[places])
        needed = torch.zeros_like(index.order, dtype=torch.bool)
        needed[values] = True
        small.start = self.start[needed[index.owner]]
        small.noise = None if self.noise is None else FixedNoise(self.noise.scale.detach()[values])
        small.thresholds = None if small.thresholds is None else self._thresholds_of(needed)
        small.is_measured = self.is_measured
        return small

    def _thresholds_of(self, needed: Tensor) -> FixedThresholds:
        """Return the thresholds of the ordinal columns that are needed, True, (D,)."""
        assert self.layout.thresholds is not None
        assert self.thresholds is not None
        columns = self.layout.blocks[self.layout.thresholds].columns
        kept = needed[torch.tensor(columns, device=needed.device)]
        return FixedThresholds(self.thresholds().detach()[kept])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the class, which is made for the columns and has no name to be found by."""
        return {name: value for name, value in self.__dict__.items() if name != "kind"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the class again."""
        super().__setstate__(state | {"kind": columns_class(state["columns"])})

    def _begin_at(self, starts: list[ColumnStart]) -> None:
        """Set the initial noise and thresholds."""
        if self.noise is not None:
            scale = torch.cat([start.scale for start in starts])
            self.noise.begin_at(scale[self.layout.on(scale.device).inverse])
        for start in starts:
            if self.thresholds is not None and start.thresholds is not None:
                self.thresholds.begin_at(start.thresholds)

    def _units(self) -> TableUnits:
        index = self.layout.on(self.location.device)
        scale = self.spread if self.noise is None else self.noise.scale.index_select(0, index.order)
        thresholds = None if self.thresholds is None else self.thresholds()
        return TableUnits(self.location, self.spread, scale, self.fill, thresholds)

    def _sorted(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the values of each block, (B, n)."""
        return x[..., self.layout.on(x.device).order].split(self.layout.sizes, -1)

    def _require_scales(self, starts: list[ColumnStart]) -> None:
        """Check that float32 has room around the values of each column.

        Raises:
            DataError: it has none.
        """
        for block, start in zip(self.layout.blocks, starts, strict=True):
            for column, spread in zip(block.columns, start.seen_spread.tolist(), strict=True):
                require_float32_scale(spread, f"the scale of the column {column}")

    __call__: Callable[[Tensor], Table]
