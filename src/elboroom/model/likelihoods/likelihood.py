"""The contract of a likelihood: a density of pixels that are independent given z."""

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any, ClassVar, cast

import torch
from torch import Tensor


class Likelihood(ABC):
    """A density of events x, made from the output of a decoder, the parameter.

    Parameters broadcast over leading axes: (K, B, *parameter) against data (B, *event). *parameter
    is `parameter_shape(event_shape)`, by default the event's shape with one entry for each value.

    Implementing a likelihood:
        Derive a frozen dataclass from this class. Its first field is the parameter; with
        `has_scale`, its second is a scale that broadcasts to the event. Write the six abstract
        members. `mask` is True where a pixel is seen: use `seen` and `total`, so that the value of
        an unseen pixel, which may be NaN, reaches no sum and no gradient.

        Set the class attributes below where their defaults do not hold, and override `fits` and
        `takes` together. To name the likelihood in a config, add it to `LIKELIHOOD_CLASSES` and to
        `elboroom.config.kinds`, and override `parameter_of` for `data_bias`, and `scale_of` where
        the scale is not the standard deviation. Override `parameters` if the fields are not what
        programs of others need of an exported decoder.
    """

    takes: ClassVar[str] = "any number"
    """The values that `fits` accepts, in words that follow "every value must be"."""
    is_density: ClassVar[bool] = False
    """True if `log_prob` is a log-density; False if it is a log-probability."""
    in_bits: ClassVar[bool] = False
    """True if bits per pixel are reported, as for discrete grey levels."""
    has_scale: ClassVar[bool] = False
    """True if the scale of the noise is the second argument; see `ObservationModel`."""
    bounded: ClassVar[bool] = True
    """True if x lies in [0, 1]; the pseudo-inputs of a VampPrior are then kept there."""
    by_place: ClassVar[bool] = False
    """True if the values that `fits` accepts depend on their place in the event."""
    passes: ClassVar[float] = 1.0
    """The time that compiling saves for an entry of the parameter, in that of a Bernoulli."""

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Return True where the likelihood accepts a value of x; by default everywhere."""
        return torch.ones_like(x, dtype=torch.bool)

    @classmethod
    def takes_at(cls, place: tuple[int, ...]) -> str:
        """Return what `fits` accepts at a place of the data (N, *event); by default `takes`."""
        return cls.takes

    @classmethod
    def for_events(cls, event_shape: tuple[int, ...]) -> "type[Likelihood]":
        """Return the class for events of a shape; by default this one."""
        return cls

    @classmethod
    def parameter_shape(cls, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the decoder's output for one event; by default the event's own."""
        return event_shape

    @classmethod
    def input_shape(cls, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what the encoder sees of an event; by default the event's own."""
        return event_shape

    @classmethod
    def parameter_mask(cls, mask: Tensor) -> Tensor:
        """Return True where an entry of the parameter bears on a seen value, (B, *parameter)."""
        return mask

    @classmethod
    def sites(cls, mask: Tensor) -> Tensor:
        """Return True for the values that depend, given z, on one where `mask` is True.

        By default these are the same: values are independent given z.
        """
        return mask

    @classmethod
    def restriction(cls, needed: Tensor) -> tuple[Tensor, Tensor]:
        """Return what of an event remains where only some values are needed, True, (*event).

        These are the indices of values in the flat event, and those of their entries in the flat
        parameter. The shapes of both are those of the smaller event and its parameter. By default
        they are the needed values, as vectors.
        """
        values = needed.flatten().nonzero()[:, 0]
        return values, values

    @classmethod
    def parameter_of(cls, mean: Tensor, std: Tensor) -> Tensor:
        """Compute the parameter whose mean is a given image; by default the image itself.

        `std` are standard deviations of the values, for a parameter that has their scale.
        """
        return mean

    @staticmethod
    def scale_of(std: Tensor) -> Tensor:
        """Compute the scale whose standard deviation is given; by default that itself."""
        return std

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[x | z], (..., *event)."""

    @property
    def mean_of_draws(self) -> Tensor:
        """The mean under the mixture of the densities along the leading axis, (S, ...) → (...).

        By default it is the mean of their means.
        """
        return self.mean.mean(0)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters of the density by name, in the units of x, for programs of others.

        Each is (..., *parameter). By default they are the fields, whose scale is broadcast.
        """
        values = {f.name: getattr(self, f.name) for f in fields(cast(Any, self))}
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        return dict(zip(tensors, torch.broadcast_tensors(*tensors.values()), strict=True))

    @abstractmethod
    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., *event)."""

    @abstractmethod
    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B)."""

    @abstractmethod
    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B)."""

    def log_prob_per_value(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_i | z) in nats of each seen value, (..., B, *event); 0 where unseen.

        By default each value is scored as an event of its own. Values are independent given z, so
        those of an event add up to `log_prob`.
        """
        values: list[Tensor] = [getattr(self, f.name) for f in fields(cast(Any, self))]
        shape = torch.broadcast_shapes(values[0].shape, x.shape)
        leading = shape[: len(shape) - x.ndim]
        alone = type(self)(*(v.expand(shape).reshape(*leading, -1, 1) for v in values))
        column = None if mask is None else mask.expand_as(x).reshape(-1, 1)
        return alone.log_prob(x.reshape(-1, 1), column).reshape(shape)

    def given(self, x: Tensor, mask: Tensor) -> "Likelihood":
        """Return the density of unseen values given z and the seen ones of x (B, *event).

        By default it is this density: values are independent given z.
        """
        return self

    @abstractmethod
    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the parameter, (..., B, *parameter)."""

    @abstractmethod
    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the diagonal of the Fisher information of seen pixels on the parameter.

        It is (..., B, *parameter).
        """

    def precision(self, jacobian: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute J W Jᵀ, (B, D, D), from the Fisher information W of seen values.

        By default only the diagonal of W counts, as if entries of the parameter were independent.

        Args:
            jacobian: J, the derivative of the flat parameter by each latent, (B, D, L).
            mask: (B, *event), True where a value is seen.
        """
        information = self.information(mask).flatten(1).to(jacobian)
        return (jacobian * information[:, None]) @ jacobian.mT

    def weighted(self, changes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute W c of changes c of the parameter, (R, B, *parameter), with the W of `precision`.

        By default only the diagonal of W counts; override both together.
        """
        return self.information(mask).to(changes) * changes


def total(pixels: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """Sum over the seen pixels of each event, (..., B, *event) → (..., B)."""
    return seen(pixels, mask).flatten(-(x.ndim - 1)).sum(-1)


def seen(values: Tensor, mask: Tensor | None) -> Tensor:
    """Set unseen values to 0: NaN there must not reach a sum or a gradient."""
    return values if mask is None else values.masked_fill(~mask, 0.0)
