"""The contract of a family of columns: the densities of n columns at once."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from elboroom.data.statistics import Statistics


class ColumnUnits(NamedTuple):
    """The numbers that the densities of n columns know besides the decoder's output.

    Attributes:
        location: (n,), of t(x), or of the log rate.
        spread: (n,), the same.
        scale: (n,), the learned scale σ of the noise, in standardised units; or, of a negative
            binomial, the square root of its dispersion.
        thresholds: (n, C + 1) of ordinal columns, from −∞ to ∞; else None.
    """

    location: Tensor
    spread: Tensor
    scale: Tensor
    thresholds: Tensor | None = None


class ColumnStart(NamedTuple):
    """The numbers that n columns begin with; at an output of 0 each has its marginal density.

    Attributes:
        location: (n,), see `ColumnUnits`.
        spread: (n,), the same.
        scale: (n,), the same.
        seen_location: (n,), the mean of t(x), as the encoder sees it.
        seen_spread: (n,), its standard deviation.
        fill: (n,), a value of x that stands for an unseen one where it cannot matter.
        entries: (E,), what is added to the decoder's output.
        thresholds: (n, C − 1) of ordinal columns; else None.
    """

    location: Tensor
    spread: Tensor
    scale: Tensor
    seen_location: Tensor
    seen_spread: Tensor
    fill: Tensor
    entries: Tensor
    thresholds: Tensor | None = None


@dataclass(frozen=True)
class ColumnFamily(ABC):
    """The densities p(x | z) of n columns of one family, made from the decoder's output.

    Attributes:
        output: (..., n), an entry for each column; of a categorical column one for each level,
            (..., E).
        units: what else the densities know.
        levels: the number of levels of each column, 1 for numbers.

    Implementing a family:
        Write the abstract members, set the class attributes, and override the optional ones where
        their defaults do not hold. Every member works on all n columns at once. Draw by `uniforms`
        and `normals`, whose shapes do not depend on values: chains map over rows with shared noise.
        Then add the class to `FAMILIES` and its name to `elboroom.config.kinds`.
    """

    output: Tensor
    units: ColumnUnits
    levels: tuple[int, ...]

    takes: ClassVar[str] = "a finite number"
    """The values that `fits` accepts, in words that follow "every value must be"."""
    is_density: ClassVar[bool] = True
    """True if `log_prob` is a log-density; False if it is a log-probability."""
    has_scale: ClassVar[bool] = False
    """True if the densities have a learned scale."""
    has_levels: ClassVar[bool] = False
    """True if x is the code of a level; `probabilities` then has those of all levels."""
    has_thresholds: ClassVar[bool] = False
    """True if the densities have learned thresholds."""
    entries_are_levels: ClassVar[bool] = False
    """True if the decoder returns an entry, and the encoder sees one, for each level."""

    @classmethod
    def entries_of(cls, levels: int) -> int:
        """Count the decoder's outputs for a column, which are the encoder's inputs too."""
        return levels if cls.entries_are_levels else 1

    @staticmethod
    def fits(x: Tensor, levels: Tensor) -> Tensor:
        """Return True where the family accepts a value of x (..., n)."""
        return x.isfinite()

    @staticmethod
    def transform(x: Tensor) -> Tensor:
        """Compute t(x), whose standardised values the encoder sees; by default x itself."""
        return x

    @classmethod
    def encoded(
        cls, x: Tensor, location: Tensor, spread: Tensor, levels: tuple[int, ...]
    ) -> Tensor:
        """Compute what the encoder sees of seen values, (B, n) → (B, n), or (B, E) of levels."""
        return (cls.transform(x) - location) / spread

    @classmethod
    def measured(cls, x: Tensor, levels: tuple[int, ...]) -> Tensor:
        """Compute the values whose statistics `start` takes, (B, n) → (B, F); NaN where x is."""
        return cls.transform(x)

    @classmethod
    @abstractmethod
    def start(cls, found: Statistics, levels: tuple[int, ...]) -> ColumnStart:
        """Compute what the columns begin with from the statistics of `measured`, each (F,)."""

    @classmethod
    def measured_size(cls, levels: tuple[int, ...]) -> int:
        """Count the values that `measured` returns, F."""
        return len(levels)

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[x | z], (..., n); of levels the most probable one."""

    @property
    def mean_of_draws(self) -> Tensor:
        """The same for the mixture of the densities along the leading axis, (S, ..., n) → (..., n).

        By default it is the mean of the means.
        """
        return self.mean.mean(0)

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of the levels, (..., n, C), 0 for padding.

        Raises:
            NotImplementedError: the family has no levels.
        """
        raise NotImplementedError

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters of the densities by name, in the units of x, each (..., n, …).

        By default it is the decoder's output.
        """
        return {"output": self.output}

    @property
    def log_unit(self) -> Tensor:
        """The logarithm of the unit that densities are of, (n,): 0, as x has probabilities."""
        return torch.zeros_like(self.units.spread)

    @property
    def shares(self) -> Tensor:
        """The probability of the level that an entry belongs to, shaped like the output.

        By default 0: no two entries belong to one column.
        """
        return torch.zeros_like(self.output)

    @abstractmethod
    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log p(x_i | z) in nats of each value, in the unit of x, (B, n) → (..., B, n)."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """Compute ∂ log p(x_i | z) by the output, shaped like the output."""

    @abstractmethod
    def information(self) -> Tensor:
        """Compute the diagonal of the Fisher information of x on the output, shaped like it."""


def plain_start(found: Statistics, scale: float, levels: tuple[int, ...]) -> ColumnStart:
    """Return the start of columns whose output is a standardised location."""
    location, spread = found.location, spread_of(found)
    return ColumnStart(
        location=location,
        spread=spread,
        scale=torch.full_like(location, scale),
        seen_location=location,
        seen_spread=spread,
        fill=location,
        entries=torch.zeros_like(location),
    )


def spread_of(found: Statistics) -> Tensor:
    """Return the standard deviations, with 1 for a column that never varies or has no value."""
    return torch.where(found.std > 0, found.std, 1.0)
