"""A mean over images or rows, with its standard error."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from elboroom.html_table import Shown, Summary


@dataclass(frozen=True)
class Estimate(Shown):
    """A mean over images or rows and its standard error, in nats per image or row.

    Formatting takes the format of a number, such as `f"{estimate:.3f}"`.

    Attributes:
        mean: the mean; NaN if it is unknown.
        standard_error: its standard error; NaN if it is unknown.
        reason: why one of them is unknown, such as "one image"; None if both are known.

    Example:
        >>> from elboroom.evaluation import Estimate
        >>> found = Estimate.of(torch.tensor([-101.0, -99.0, -100.0]))
        >>> print(found, "or", f"{found:.1f}")
        -100.00 ± 0.58 or -100.0 ± 0.6
        >>> print(Estimate.of(torch.tensor([-101.0])))
        -101.00 ± unknown (one image)
    """

    mean: float
    standard_error: float
    reason: str | None = None

    @classmethod
    def of(cls, values: Tensor, noun: str = "image") -> "Estimate":
        """Estimate the mean from one value per row, (N,); `noun` is the word for a row."""
        values = values.double()
        mean, reason = values.mean().item(), _why_unknown(values, noun)
        if reason is not None:
            return cls(mean, math.nan, reason)
        return cls(mean, values.std().item() / math.sqrt(len(values)))

    @classmethod
    def of_each(cls, values: Mapping[str, Tensor], noun: str = "image") -> "dict[str, Estimate]":
        """Estimate the mean of each named quantity, (N,)."""
        return {name: cls.of(each, noun) for name, each in values.items()}

    @classmethod
    def read(cls, found: Mapping[str, Any], reason: str | None = None) -> "Estimate":
        """Read an estimate from JSON, in which null stands for an unknown number.

        Args:
            found: the table that `to_dict` returned.
            reason: why a number is unknown, if the table does not say it.
        """
        known = (found["mean"], found["standard_error"])
        mean, error = (math.nan if value is None else value for value in known)
        reason = found.get("reason", reason)
        return cls(mean, error, reason if math.isnan(mean) or math.isnan(error) else None)

    def to_dict(self) -> dict[str, Any]:
        """Return a table for JSON, with `reason` only where a number is unknown."""
        table = {"mean": self.mean, "standard_error": self.standard_error}
        return table if self.reason is None else table | {"reason": self.reason}

    def _summary(self) -> Summary:
        return Summary("", {"mean ± standard error": self, "unknown because of": self.reason})

    def __format__(self, spec: str) -> str:
        unknown = "unknown" if self.reason is None else f"unknown ({self.reason})"
        if math.isnan(self.mean):
            return unknown
        spec = f"z{spec or '.2f'}"
        error = unknown if math.isnan(self.standard_error) else format(self.standard_error, spec)
        return f"{format(self.mean, spec)} ± {error}"

    def __str__(self) -> str:
        return format(self)


def as_tables(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    """Return named estimates as tables for JSON, which `Estimate.read` reads."""
    return {name: estimate.to_dict() for name, estimate in estimates.items()}


def _why_unknown(values: Tensor, noun: str) -> str | None:
    """Return why the standard error of a mean is unknown, None if it is known."""
    infinite = int((~values.isfinite()).sum())
    if infinite:
        return f"{infinite:,} of {len(values):,} values are not finite"
    return {0: f"no {noun}", 1: f"one {noun}"}.get(len(values))
