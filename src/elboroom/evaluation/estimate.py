"""A mean over images with its standard error."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean over images and its standard error, in nats per image."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        """Estimate the mean from one value per image, (N,)."""
        values = values.double()
        error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(values.mean().item(), error)

    @classmethod
    def of_each(cls, values: Mapping[str, Tensor]) -> "dict[str, Estimate]":
        """Estimate the mean of each named quantity, (N,)."""
        return {name: cls.of(each) for name, each in values.items()}

    @classmethod
    def read(cls, found: dict[str, float | None]) -> "Estimate":
        """Read an estimate from JSON, in which null stands for the standard error of one image."""
        mean, error = found["mean"], found["standard_error"]
        return cls(*(math.nan if value is None else value for value in (mean, error)))

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.standard_error:.2f}"


def as_tables(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    """Return named estimates as tables for JSON, which `Estimate.read` reads."""
    return {name: asdict(estimate) for name, estimate in estimates.items()}
