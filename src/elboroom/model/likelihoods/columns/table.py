"""The density of a row of a table: a product over its columns."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.model.likelihoods.columns.family import ColumnFamily, ColumnUnits
from elboroom.model.likelihoods.columns.layout import Indices, Layout
from elboroom.model.likelihoods.likelihood import Likelihood, seen


class TableUnits(NamedTuple):
    """The numbers that a table's density knows besides the output; columns as in the layout.

    Attributes:
        location: (D,), see `ColumnUnits`.
        spread: (D,), the same.
        scale: (D,), the same.
        fill: (D,), a value of each column that stands for an unseen one.
        thresholds: (n, C + 1) of the ordinal columns; None if there are none.
    """

    location: Tensor
    spread: Tensor
    scale: Tensor
    fill: Tensor
    thresholds: Tensor | None


@dataclass(frozen=True)
class Table(Likelihood):
    """p(x | z) = Π_i p_i(x_i | z) over the columns of a table, each of its own family.

    `columns_class` makes the class of some columns. The parameter has the decoder's outputs of all
    columns, those of a family side by side, and levels start at their shares. Densities are those
    of the columns in their own units.

    Attributes:
        parameter: (..., E), an entry for each column, and one for each level of categorical ones.
        units: what else the densities know; `TableModel` keeps it.
    """

    parameter: Tensor
    units: TableUnits

    layout: ClassVar[Layout]
    has_scale = True
    bounded = False
    by_place = True
    passes = 0.0  # compiled steps of eight families took as long, or longer, on a processor

    @classmethod
    def takes_at(cls, place: tuple[int, ...]) -> str:
        """Return what a column accepts, in words that follow "every value must be"."""
        name, levels = cls.layout.columns[place[-1]]
        block, _ = cls.layout.place_of(place[-1])
        family = cls.layout.blocks[block].family
        sizes = f" with C = {levels}" if family.has_levels and levels > 2 else ""
        return f"{family.takes}{sizes}, in the column {place[-1]}, which is {name}"

    @classmethod
    def for_events(cls, event_shape: tuple[int, ...]) -> type[Likelihood]:
        """Return this class for rows of its columns.

        Raises:
            UsageError: rows are of another shape.
        """
        if tuple(event_shape) == (len(cls.layout.columns),):
            return cls
        raise UsageError(
            f"the likelihood of {len(cls.layout.columns)} columns does not fit the data",
            why=f"found rows of shape {tuple(event_shape)}; expected "
            f"({len(cls.layout.columns)},), a value for each column",
            fix="name one likelihood for each column of the data in ModelConfig.columns",
        )

    @classmethod
    def parameter_shape(cls, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (E,)."""
        return (cls.layout.entries,)

    @classmethod
    def input_shape(cls, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (E + D,): an input for each entry, and the mask."""
        return (cls.layout.entries + len(cls.layout.columns),)

    @classmethod
    def parameter_mask(cls, mask: Tensor) -> Tensor:
        """Return True for the entries of seen columns, (B, E)."""
        return cls._of_columns(mask)[..., cls.layout.on(mask.device).owner]

    @classmethod
    def _of_columns(cls, mask: Tensor) -> Tensor:
        """Return a mask with an entry for each column, where one may stand for all."""
        return mask.expand(*mask.shape[:-1], len(cls.layout.columns))

    @classmethod
    def restriction(cls, needed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the needed columns, and their entries in the order of the smaller layout."""
        return needed.nonzero()[:, 0], needed[cls.layout.on(needed.device).owner].nonzero()[:, 0]

    @classmethod
    def parameter_of(cls, mean: Tensor, std: Tensor) -> Tensor:
        """Return the output 0, at which each column has its marginal density."""
        return mean.new_zeros(cls.layout.entries)

    @property
    def mean(self) -> Tensor:
        """E[x | z], (..., D); of a column of levels the most probable one."""
        return self._joined([family.mean for family in self._families])

    @property
    def mean_of_draws(self) -> Tensor:
        """The same of the mixture along the leading axis, (S, ..., D) → (..., D).

        The level is the most probable one by the mean of the probabilities.
        """
        return self._joined([family.mean_of_draws for family in self._families])

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Those of each block of columns, whose name begins theirs: see `Layout.block_names`."""
        return {
            f"{block}_{name}": value
            for block, family in zip(self.layout.block_names, self._families, strict=True)
            for name, value in family.parameters.items()
        }

    @property
    def log_units(self) -> Tensor:
        """The logarithm of the unit that the density of each column is of, (D,); 0 for levels.

        A table in other units has other densities p(x), and the same Π_i unit_i p(x).
        """
        return self._joined([family.log_unit for family in self._families])

    def probabilities(self, column: int) -> Tensor:
        """Return the probabilities of the levels of a column of the table, (..., C).

        Raises:
            UsageError: the column has no levels.
        """
        block, place = self.layout.place_of(range(len(self.layout.columns))[column])
        name, levels = self.layout.columns[column]
        if not self.layout.blocks[block].family.has_levels:
            raise UsageError(
                f"the column {column} has no probabilities",
                why=f"it is {name}, which has no levels",
                fix="choose a column that is bernoulli, categorical or ordinal",
            )
        return self._families[block].probabilities[..., place, :levels]

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., D)."""
        return self._joined([family.sample(generator) for family in self._families])

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, D), (..., B)."""
        return self._log_prob_of_places(x, mask).sum(-1)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B).

        It takes one event at a time.
        """
        masks = [None] * len(x) if mask is None else mask.split(1)
        wide = type(self)(self.parameter[:, None], self.units)
        rows = [wide.log_prob(row, m) for row, m in zip(x.split(1), masks, strict=True)]
        return torch.cat(rows, -1)

    def log_prob_per_value(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_i | z) in nats of each seen value, (..., B, D); 0 where unseen."""
        return self._log_prob_of_places(x, mask)[..., self._index.inverse]

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the parameter, (..., B, E)."""
        parts = zip(self._families, self._sorted(x, mask), strict=True)
        return self._of_seen([family.score(values) for family, values in parts], mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the diagonal of the Fisher information on the parameter, (..., B, E)."""
        return self._of_seen([family.information() for family in self._families], mask)

    def precision(self, jacobian: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute J W Jᵀ, (B, D, D), with the exact information, also of the levels of a column."""
        diagonal, entries = super().precision(jacobian, mask), self._index.levels_of_columns
        if not len(entries):
            return diagonal
        moved = jacobian[..., entries] * self._shares(mask).to(jacobian)[:, None]
        columns = jacobian.new_zeros(*jacobian.shape[:2], len(self.layout.columns))
        together = columns.index_add(-1, self._index.owner[entries], moved)
        # diag(p) − p pᵀ = diag(p (1 − p)) + diag(p)² − p pᵀ
        return diagonal + moved @ moved.mT - together @ together.mT

    def weighted(self, changes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute W c of changes c of the parameter, (R, B, E), with the same exact information."""
        diagonal, entries = super().weighted(changes, mask), self._index.levels_of_columns
        if not len(entries):
            return diagonal
        shares, owner = self._shares(mask).to(changes), self._index.owner[entries]
        moved = shares * changes[..., entries]
        columns = changes.new_zeros(*changes.shape[:-1], len(self.layout.columns))
        together = columns.index_add(-1, owner, moved)[..., owner]
        return diagonal.index_add(-1, entries, shares * (moved - together))

    def _shares(self, mask: Tensor | None) -> Tensor:
        """Return the probability of each level that shares a column with others."""
        shares = self._of_seen([family.shares for family in self._families], mask)
        return shares[..., self._index.levels_of_columns]

    @property
    def _index(self) -> Indices:
        return self.layout.on(self.parameter.device)

    @cached_property
    def _families(self) -> list[ColumnFamily]:
        """The densities of each block."""
        layout, units = self.layout, self.units
        outputs = self.parameter.split(layout.entry_sizes, -1)
        location, spread, scale = (numbers.split(layout.sizes) for numbers in units[:3])
        found = list[ColumnFamily]()
        for i, block in enumerate(layout.blocks):
            thresholds = units.thresholds if block.family.has_thresholds else None
            own = ColumnUnits(location[i], spread[i], scale[i], thresholds)
            found.append(block.family(outputs[i], own, block.levels))
        return found

    def _log_prob_of_places(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute log p(x_i | z) of each seen value, columns in the order of the layout."""
        parts = zip(self._families, self._sorted(x, mask), strict=True)
        found = torch.cat([family.log_prob(values) for family, values in parts], -1)
        if mask is None:
            return found
        return seen(found, self._of_columns(mask)[..., self._index.order])

    def _sorted(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return the values of each block; unseen ones are replaced by some value that fits."""
        x = x[..., self._index.order]
        if mask is not None:
            x = torch.where(self._of_columns(mask)[..., self._index.order], x, self.units.fill)
        return x.split(self.layout.sizes, -1)

    def _of_seen(self, parts: list[Tensor], mask: Tensor | None) -> Tensor:
        """Join entries, with 0 for those of unseen columns."""
        found = torch.cat(parts, -1)
        return found if mask is None else seen(found, self.parameter_mask(mask))

    def _joined(self, parts: list[Tensor]) -> Tensor:
        """Join values of blocks, in the order of the table."""
        return torch.cat(parts, -1)[..., self._index.inverse]


def columns_class(columns: tuple[str, ...]) -> type[Table]:
    """Return the class of densities of a table.

    Args:
        columns: the likelihood of each column, as `ModelConfig.columns` has them.

    Raises:
        UsageError: there are no columns, or a likelihood is not known.
    """
    if not columns:
        raise UsageError(
            "the likelihood of each column is not known",
            why='likelihood is "columns", and columns is empty',
            fix="name one for each column, as in ModelConfig(likelihood='columns', "
            "columns=('gaussian', 'categorical:3')), or give data with a schema to `resolve`",
        )
    return _class_of(tuple(columns))


@lru_cache(256)
def _class_of(columns: tuple[str, ...]) -> type[Table]:
    layout = Layout.of(columns)
    families = [block.family for block in layout.blocks]
    return type(
        "Columns",
        (Table,),
        {
            "__doc__": Table.__doc__,
            "__module__": Table.__module__,
            "layout": layout,
            "fits": staticmethod(layout.fits),
            "is_density": any(family.is_density for family in families),
        },
    )
