"""The order in which a table's columns are computed: those of a family side by side."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from elboroom.config.columns import ColumnLikelihood, column_likelihood
from elboroom.model.likelihoods.columns.families import FAMILIES
from elboroom.model.likelihoods.columns.family import ColumnFamily

_PADDING = 8  # columns whose numbers of levels differ by a larger factor are computed apart


@dataclass(frozen=True)
class Block:
    """The columns of one family, which are computed at once.

    Attributes:
        family: the class of their densities.
        columns: the place of each in the table.
        levels: the number of levels of each; 1 for numbers.
    """

    family: type[ColumnFamily]
    columns: tuple[int, ...]
    levels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def entries(self) -> int:
        """The number of the decoder's outputs, which is that of the encoder's inputs."""
        return sum(map(self.family.entries_of, self.levels))

    @property
    def owners(self) -> tuple[int, ...]:
        """The column in the table of each entry."""
        sizes = map(self.family.entries_of, self.levels)
        pairs = zip(self.columns, sizes, strict=True)
        return tuple(column for column, size in pairs for _ in range(size))


class Indices(NamedTuple):
    """The indices of a layout on a device.

    Attributes:
        order: (D,), the column of the table at each place of the layout.
        inverse: (D,), the place of each column.
        owner: (E,), the column of each entry of the parameter.
        inputs: (E,), the entry at each place of the encoder's input, whose columns are in the order
            of the table.
        input_owner: (E,), the column of each of these.
        levels: (D,), the number of levels of each column of the table.
        levels_of_columns: the entries that share their column with others.
    """

    order: Tensor
    inverse: Tensor
    owner: Tensor
    inputs: Tensor
    input_owner: Tensor
    levels: Tensor
    levels_of_columns: Tensor


@dataclass(frozen=True)
class Layout:
    """Columns in blocks, one for each family; categorical ones also by their number of levels.

    Attributes:
        columns: the likelihood of each column of the table.
    """

    columns: tuple[ColumnLikelihood, ...]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "Layout":
        """Read the names of the likelihoods, as a config has them.

        Raises:
            UsageError: a name is not known.
        """
        return cls(tuple(map(column_likelihood, names)))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks, in the order of the registry."""
        groups = dict[tuple[type[ColumnFamily], int], list[int]]()
        for place, (name, levels) in enumerate(self.columns):
            family = FAMILIES[name]
            groups.setdefault((family, _size_class(family, levels)), []).append(place)
        ranks = {family: rank for rank, family in enumerate(FAMILIES.values())}
        keys = sorted(groups, key=lambda key: (ranks[key[0]], key[1]))
        return tuple(
            Block(family, tuple(places), tuple(self.columns[place].levels for place in places))
            for family, places in ((key[0], groups[key]) for key in keys)
        )

    @cached_property
    def block_names(self) -> tuple[str, ...]:
        """A name for each block: its family's, with a number where the family has several."""
        names = [self.columns[block.columns[0]].family.replace("-", "_") for block in self.blocks]
        counts = (names[: place + 1].count(name) for place, name in enumerate(names))
        pairs = zip(names, counts, strict=True)
        return tuple(name if count == 1 else f"{name}_{count}" for name, count in pairs)

    @cached_property
    def entries(self) -> int:
        """The number of the decoder's outputs."""
        return sum(block.entries for block in self.blocks)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of columns of each block."""
        return tuple(map(len, self.blocks))

    @cached_property
    def entry_sizes(self) -> tuple[int, ...]:
        """The number of entries of each block."""
        return tuple(block.entries for block in self.blocks)

    @cached_property
    def measured_sizes(self) -> tuple[int, ...]:
        """The number of values of each block whose statistics are measured."""
        return tuple(block.family.measured_size(block.levels) for block in self.blocks)

    @cached_property
    def thresholds(self) -> int | None:
        """The place of the block with thresholds; None if there is none."""
        found = (place for place, b in enumerate(self.blocks) if b.family.has_thresholds)
        return next(found, None)

    def place_of(self, column: int) -> tuple[int, int]:
        """Return the block of a column, and its place there."""
        blocks = enumerate(self.blocks)
        return next((b, o.columns.index(column)) for b, o in blocks if column in o.columns)

    def fits(self, x: Tensor) -> Tensor:
        """Return True where the family of a column accepts a value of x (..., D)."""
        index = self.on(x.device)
        values = x[..., index.order].split(self.sizes, -1)
        levels = index.levels[index.order].split(self.sizes)
        parts = zip(self.blocks, values, levels, strict=True)
        return torch.cat([b.family.fits(*both) for b, *both in parts], -1)[..., index.inverse]

    def on(self, device: torch.device) -> Indices:
        """Return the indices on a device."""
        return _indices(self, device)


def _size_class(family: type[ColumnFamily], levels: int) -> int:
    """Return a number that columns which may be padded to one size share."""
    if not family.entries_are_levels:
        return 0
    found = 0
    while _PADDING ** (found + 1) < levels:
        found += 1
    return found


@lru_cache(256)
def _indices(layout: Layout, device: torch.device) -> Indices:
    order = torch.tensor([c for b in layout.blocks for c in b.columns], device=device)
    owner = torch.tensor([c for b in layout.blocks for c in b.owners], device=device)
    inputs = owner.argsort(stable=True)
    levels = torch.tensor([column.levels for column in layout.columns], device=device)
    together = (owner.bincount()[owner] > 1).nonzero()[:, 0]
    return Indices(order, order.argsort(), owner, inputs, owner[inputs], levels, together)
