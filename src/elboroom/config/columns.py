"""The likelihood of a column of a table, as a config writes it."""

from typing import NamedTuple, cast

from elboroom.config.checks import require
from elboroom.config.kinds import COLUMN_LIKELIHOODS, ColumnLikelihoodName

_OPTION = "column_likelihoods"
_WITH_LEVELS = ("categorical", "ordinal")
MOST_LEVELS = 100_000
"""The largest number of levels of a column."""


class ColumnLikelihood(NamedTuple):
    """The family of a column, and the number of its levels; 1 for a family of numbers."""

    family: ColumnLikelihoodName
    levels: int = 1


def column_likelihood(text: str) -> ColumnLikelihood:
    """Read a name of `COLUMN_LIKELIHOODS`; `categorical:C` and `ordinal:C` have C levels.

    Raises:
        UsageError: the name is not known, or C is no whole number from 2 to 100,000.
    """
    name, colon, number = text.partition(":")
    known = name in COLUMN_LIKELIHOODS and bool(colon) == (name in _WITH_LEVELS)
    names = (f"{one}:C" if one in _WITH_LEVELS else one for one in COLUMN_LIKELIHOODS)
    require(known, _OPTION, text, f"of {', '.join(names)}")
    family = cast(ColumnLikelihoodName, name)
    if not colon:
        return ColumnLikelihood(family, 2 if name == "bernoulli" else 1)
    digits = number.isascii() and number.isdigit() and len(number) <= 6
    levels = int(number) if digits else 0
    expected = f"{name}:C with C from 2 to {MOST_LEVELS:,}"
    require(2 <= levels <= MOST_LEVELS, _OPTION, text, expected)
    return ColumnLikelihood(family, levels)
