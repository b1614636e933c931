"""A column of a table: its type, and how its entries become numbers."""

from dataclasses import dataclass
from typing import get_args

from elboroom.config.kinds import ColumnType
from elboroom.errors import DataError
from elboroom.html_table import Shown, Summary

LEVEL_TYPES: tuple[ColumnType, ...] = ("binary", "category", "ordinal")
LIKELIHOODS: dict[ColumnType, tuple[str, ...]] = {
    "real": ("gaussian", "student-t"),
    "positive": ("gaussian", "log-normal", "student-t"),
    "count": ("negative-binomial", "poisson"),
    "date": ("gaussian", "student-t"),
    "binary": ("bernoulli",),
    "category": ("categorical",),
    "ordinal": ("ordinal",),
    "ignore": ("",),
}
"""The likelihoods that a column of each type may have; the first is taken by default."""


@dataclass(frozen=True)
class Column(Shown):
    """A column of a table.

    An entry is encoded as a number: a real, positive or date entry minus `origin`, a count as it
    is, an entry of levels as the place of its level, from 0. NaN stands for a missing entry.

    Attributes:
        name: the name.
        type: what its entries are.
        levels: the levels in the order of their codes, as `level_key` writes them; empty for types
            without levels.
        likelihood: gaussian, student-t, log-normal, poisson, negative-binomial, bernoulli,
            categorical:C or ordinal:C for C levels; empty for a column that is left out.
        missing: entries that mean missing, beside the words that always do.
        origin: what is subtracted; of a date, in days since 1970-01-01.
        decimals: decimals of its numbers, 0 for whole days; None if they have any number of them.
        decimal: the mark before the decimals of numbers that are text.
        format: format of dates that are text, as `datetime.strftime` takes it.
        why: the reason for the type, in words.
    """

    name: str
    type: ColumnType
    levels: tuple[str, ...] = ()
    likelihood: str = ""
    missing: tuple[str | float, ...] = ()
    origin: float = 0.0
    decimals: int | None = None
    decimal: str = "."
    format: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        self._require_levels()
        object.__setattr__(self, "likelihood", self._likelihood())

    @property
    def modelled(self) -> bool:
        """True unless the column is left out of the model."""
        return self.type != "ignore"

    @property
    def has_levels(self) -> bool:
        """True if its entries are encoded as places of levels."""
        return self.type in LEVEL_TYPES

    @property
    def line(self) -> str:
        """The type and the reason for it, in a line."""
        by = f"; {self.likelihood}" if self.modelled else ""
        return f"{shown(self.name)}: {self.type if self.modelled else 'left out'}, {self.why}{by}"

    def _summary(self) -> Summary:
        facts = {
            "type": self.type,
            "likelihood": self.likelihood or None,
            "levels": ", ".join(self.levels) or None,
            "why": self.why or None,
        }
        return Summary(shown(self.name), facts)

    def _likelihood(self) -> str:
        known = LIKELIHOODS[self.type]
        found = self.likelihood.partition(":")[0] or known[0]
        if found not in known:
            raise refused(
                self.name,
                f"found the likelihood {found} for the type {self.type}; expected "
                + " or ".join(known),
                f"say one of them: {option(self.name, 'likelihood', known[0])}",
            )
        return f"{found}:{len(self.levels)}" if found in ("categorical", "ordinal") else found

    def _require_levels(self) -> None:
        least, most = (2, 2) if self.type == "binary" else (2, None)
        levels = self.levels
        if not self.has_levels:
            fits, expected = not levels, "none"
        else:
            fits = len(set(levels)) == len(levels) >= least and most in (None, len(levels))
            expected = "two different ones" if most else "two or more different ones"
        if not fits:
            raise refused(
                self.name,
                f"found {len(levels)} levels for the type {self.type}; expected {expected}",
                f"say its levels: {option(self.name, 'levels', ['a', 'b'])}",
            )


def shown(name: str) -> str:
    """Return the name of a column as text shows it."""
    return name or "(no name)"


def option(name: str, key: str, value: object) -> str:
    """Return the line of a file of --columns that says an option of a column."""
    from elboroom.data.tables.toml import toml_key, toml_value

    return f"{toml_key(name)}.{key} = {toml_value(value)}"


def refused(name: str, why: str, fix: str) -> DataError:
    """Return the error for a column that cannot be used."""
    return DataError(f"column {shown(name)} cannot be used", why=why, fix=fix)


def types() -> tuple[ColumnType, ...]:
    """Return the names of all types."""
    return get_args(ColumnType)
