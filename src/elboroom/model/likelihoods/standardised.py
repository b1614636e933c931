"""A change of variables x = location + scale · y, and the density of x under it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from elboroom.data.statistics import Statistics
from elboroom.errors import DataError
from elboroom.model.likelihoods.likelihood import Likelihood, seen, total

_SMALLEST, _LARGEST = 1e-30, 1e30  # scales that leave float32 room for the values around them


class Units(nn.Module):
    """The units of the data: x = location + scale · y, with standardised values y.

    Both start as those of y itself, 0 and 1, until they are measured.

    Args:
        shape: of location and scale, broadcast to the event.
    """

    location: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def measure(self, statistics: Statistics) -> None:
        """Take location and scale from the statistics of the training part.

        Raises:
            DataError: if all values are constant, or their scale is beyond that of float32.
        """
        pooled = statistics.pooled(tuple(self.scale.shape))
        location, scale = pooled.location, pooled.scale
        for extreme in (scale.max(), scale.min()):
            require_float32_scale(extreme.item(), "the scale of the data")
        self.location.copy_(location)
        self.scale.copy_(scale)

    def standardise(self, x: Tensor) -> Tensor:
        """Compute y = (x − location) / scale, (..., *event)."""
        return (x - self.location) / self.scale

    def restore(self, y: Tensor) -> Tensor:
        """Compute x = location + scale · y, (..., *event)."""
        return self.location + self.scale * y

    def restricted_to(self, values: Tensor, event_shape: tuple[int, ...]) -> "Units":
        """Return the units of some values of the flat event, in the shape of their indices."""
        small = Units(tuple(values.shape))
        small.location = self.location.expand(event_shape).flatten()[values]
        small.scale = self.scale.expand(event_shape).flatten()[values]
        return small


def require_float32_scale(scale: float, what: str) -> None:
    """Check that float32 has room for the values around a standard deviation.

    Raises:
        DataError: it has none; `what` begins the error.
    """
    if not _SMALLEST <= scale <= _LARGEST:
        raise DataError(
            f"{what} is beyond the range of float32",
            why=f"found a standard deviation of {scale:.3g}; expected 1e-30 to 1e30",
            fix="multiply the data by a power of ten, or divide them",
        )


@dataclass(frozen=True)
class Standardised(Likelihood):
    """The density of x = location + scale · y, where y has the density `inner`.

    `score` and `information` are derivatives by the parameter of `inner`, the decoder's output.
    """

    inner: Likelihood
    units: Units

    @property
    def mean(self) -> Tensor:
        """E[x | z] = location + scale · E[y | z], (..., *event)."""
        return self.units.restore(self.inner.mean)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Those of `inner`, of which location and scale are restored to the units of x."""
        found = self.inner.parameters
        if "location" in found:
            found["location"] = self.units.restore(found["location"])
        if "scale" in found:
            found["scale"] = self.units.scale * found["scale"]
        return found

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., *event)."""
        return self.units.restore(self.inner.sample(generator))

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B)."""
        # log p(x | z) = log p(y | z) − Σ_i m_i log scale_i
        return self.inner.log_prob(self.units.standardise(x), mask) - self._volume(x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B)."""
        table = self.inner.log_prob_table(self.units.standardise(x), mask)
        return table - self._volume(x, mask)

    def log_prob_per_value(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_i | z) in nats of each seen value, (..., B, *event); 0 where unseen."""
        # log p(x_i | z) = log p(y_i | z) − log scale_i
        inner = self.inner.log_prob_per_value(self.units.standardise(x), mask)
        return inner - seen(self.units.scale.log().expand_as(x), mask)

    def given(self, x: Tensor, mask: Tensor) -> "Standardised":
        """Return the density of unseen values given z and the seen ones of x (B, *event)."""
        return Standardised(self.inner.given(self.units.standardise(x), mask), self.units)

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the decoder's output, (..., B, *parameter)."""
        return self.inner.score(self.units.standardise(x), mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the Fisher information of seen values on the output, (..., B, *parameter)."""
        return self.inner.information(mask)

    def precision(self, jacobian: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute J W Jᵀ, (B, D, D), with the information on the decoder's output."""
        return self.inner.precision(jacobian, mask)

    def weighted(self, changes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute W c of changes c of the decoder's output, (R, B, *parameter)."""
        return self.inner.weighted(changes, mask)

    def _volume(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute Σ_i m_i log scale_i in nats, () or (B,)."""
        log_scale = self.units.scale.log().expand(x.shape[1:])
        return log_scale.sum() if mask is None else total(log_scale.expand_as(x), x, mask)
