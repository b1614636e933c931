"""The columns of an explored run: entries as people write them ⇄ the numbers of the model."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from elboroom.config.columns import column_likelihood
from elboroom.data.tables.column import Column
from elboroom.errors import UsageError
from elboroom.explorer.explored_run import ExploredRun
from elboroom.model.likelihoods import Likelihood
from elboroom.model.likelihoods.levels.values import STEPS

Entry = str | float | bool | None
"""An entry of a table in JSON: a number, a level or a date; None where it is missing."""

_DIGITS = 7  # those that float32 holds
_LARGEST = 1e15
_MOST_NAMED = 9
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


AxisKind = Literal["linear", "logarithmic", "steps", "levels"]
"""The kind of an axis: even in x, even in log x, of evenly spaced numbers, or of levels."""


@dataclass(frozen=True)
class Domain:
    """The numbers that a column may have in the model.

    Attributes:
        kind: the kind of the axis on which they are shown.
        low: the least.
        high: the largest.
        step: their distance; None if they may be any.
    """

    kind: AxisKind
    low: float = -math.inf
    high: float = math.inf
    step: float | None = None

    @property
    def log_step(self) -> float:
        """The log of the step, which a log-probability is above the log-density by; else 0."""
        return 0.0 if self.step is None else math.log(self.step)


@dataclass(frozen=True)
class Columns(ABC):
    """The columns of the rows of a run.

    Attributes:
        columns: D columns, in the order of the values of a row.
    """

    columns: tuple[Column, ...]

    def place_of(self, name: str) -> int:
        """Return the place of a column by its name.

        Raises:
            UsageError: if there is none.
        """
        if name not in self._places:
            names, more = [*self._places], ", …" * (len(self._places) > _MOST_NAMED)
            raise UsageError(
                f"there is no column {name}",
                why=f"found {name}; the columns are {', '.join(names[:_MOST_NAMED])}{more}",
                fix="name one of these",
            )
        return self._places[name]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {column.name: place for place, column in enumerate(self.columns)}

    def encode(self, entries: Mapping[str, Entry]) -> Tensor:
        """Return the numbers of a row, (D,); NaN where an entry is None or not given.

        Raises:
            UsageError: if a column is not known, or an entry is none of its column's.
        """
        x = torch.full((len(self.columns),), torch.nan)
        for name, entry in entries.items():
            place = self.place_of(name)
            if entry is not None:
                x[place] = _in_range(name, self._number(self.columns[place], entry))
        return x

    def entries(self, x: Tensor) -> list[list[Entry]]:
        """Return the entries of rows (N, D) as people write them; None where one is missing."""
        return [
            [
                None if number != number else self._entry(column, number)
                for column, number in zip(self.columns, row, strict=True)
            ]
            for row in x.tolist()
        ]

    def in_units(self, place: int, numbers: Tensor) -> Tensor:
        """Return numbers of the model in the units of a column; dates in days since 1970-01-01."""
        return numbers.double() + self.columns[place].origin

    def domain(self, place: int) -> Domain:
        """Return the numbers that a column may have."""
        column = self.columns[place]
        if column.has_levels:
            return Domain("levels", 0.0, len(column.levels) - 1.0, step=1.0)
        return self._domain(column)

    @abstractmethod
    def _domain(self, column: Column) -> Domain: ...

    @abstractmethod
    def _number(self, column: Column, entry: str | float | bool) -> float: ...

    def _entry(self, column: Column, number: float) -> Entry:
        if column.has_levels:
            return column.levels[int(number)]
        if column.decimals is None:
            return float(f"{number + column.origin:.{_DIGITS}g}")
        return round(number + column.origin, column.decimals)


class TableColumns(Columns):
    """The columns of a table."""

    def _domain(self, column: Column) -> Domain:
        if column.type == "count":
            return Domain("steps", low=0.0, step=1.0)
        is_log_normal = column_likelihood(column.likelihood).family == "log-normal"
        return Domain("logarithmic" if is_log_normal else "linear")

    def _number(self, column: Column, entry: str | float | bool) -> float:
        # Imported here, since the columns of vectors do without pandas, which is an extra.
        import pandas as pd

        from elboroom.data.tables.encoding import encode_column

        return float(encode_column(column, pd.Series([entry], dtype=object))[0])

    def _entry(self, column: Column, number: float) -> Entry:
        if column.type != "date":
            return super()._entry(column, number)
        from elboroom.data.tables.date_values import date_text

        form, days = column.format or "%Y-%m-%d", number + column.origin
        return date_text(days, form, decimals=column.decimals, padded=True)


@dataclass(frozen=True)
class VectorColumns(Columns):
    """The values of a vector as columns x₁, x₂ and so on.

    Attributes:
        density: the class of their densities.
    """

    density: type[Likelihood]

    @classmethod
    def of_values(cls, count: int, density: type[Likelihood]) -> "VectorColumns":
        """Return the columns of `count` values of one likelihood."""
        names = [f"x{str(place + 1).translate(_SUBSCRIPTS)}" for place in range(count)]
        if density.is_density or density.in_bits:
            return cls(tuple(Column(name, "real") for name in names), density)
        return cls(tuple(Column(name, "binary", levels=("0", "1")) for name in names), density)

    def _domain(self, column: Column) -> Domain:
        if self.density.in_bits:
            return Domain("steps", 0.0, 1.0, step=1 / STEPS)
        return Domain("linear", 0.0, 1.0) if self.density.bounded else Domain("linear")

    def _number(self, column: Column, entry: str | float | bool) -> float:
        text = f"{entry:g}" if isinstance(entry, float) else str(entry)
        if text in column.levels:
            return float(column.levels.index(text))
        if isinstance(entry, float) and not column.has_levels:
            return entry
        raise UsageError(
            f"the entry {entry} does not fit the column {column.name}",
            why=f"found {text}; expected {' or '.join(column.levels) or 'a number'}",
            fix="correct the entry, or leave it out",
        )


def _in_range(name: str, number: float) -> float:
    if abs(number) <= _LARGEST:
        return number
    raise UsageError(
        f"the entry {number:g} of the column {name} is out of range",
        why=f"found {number:g}; expected at most {_LARGEST:g} in size",
        fix="correct the entry, or hide it",
    )


def columns_of(explored: ExploredRun) -> Columns:
    """Return the columns of a table, or the values of a vector as columns.

    Raises:
        UsageError: if rows have no columns.
    """
    if not explored.has_columns:
        raise UsageError(
            "the rows of this run have no columns",
            why=f"they are {explored.kind}; expected a table, or vectors of a known likelihood",
            fix="ask for the completion of pictures at /complete",
        )
    schema = explored.run.data.schema
    if schema is not None:
        return TableColumns(schema.modelled_columns)
    return VectorColumns.of_values(explored.values, explored.model.likelihood.density)
