"""The observation model p(x | z): from the decoder's output to a density of x in its own units."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods.likelihood import Likelihood
from elboroom.model.likelihoods.noise import FixedNoise, Noise
from elboroom.model.likelihoods.standardised import Standardised, Units

WIDE = 3.0
"""Standard deviations that `ObservationModel.wide` takes as a scale."""


class ObservationModel(nn.Module):
    """A map from the decoder's output to densities of x, with their noise and their units.

    Args:
        kind: a class of densities, or any map from the decoder's output to densities; called with
            the scale of the noise too, if there is a noise.
        noise: the scale of the noise, for a class that has one. A scale that is given is in the
            data's own units.
        units: the change of variables from standardised values, which the networks see, to x; None
            if the networks see x itself.

    Attributes:
        is_measured: True once the data's units and spread were measured, or loaded.
    """

    is_measured: Tensor

    def __init__(
        self,
        kind: Callable[..., Likelihood],
        noise: Noise | None = None,
        units: Units | None = None,
    ) -> None:
        super().__init__()
        self.kind, self.noise, self.units = kind, noise, units
        if self.depends_on_data:
            self.register_buffer("is_measured", torch.tensor(False))

    @property
    def density(self) -> type[Likelihood]:
        """The class of the densities; `Likelihood` itself, with its defaults, for a function."""
        kind = self.kind
        return kind if isinstance(kind, type) and issubclass(kind, Likelihood) else Likelihood

    @property
    def depends_on_data(self) -> bool:
        """True if `measure` has something to measure."""
        return self.noise is not None or self.units is not None

    @property
    def middle(self) -> Tensor | float:
        """A value to start at where the data have none: their location, or ½ without units."""
        return 0.5 if self.units is None else self.units.location

    def measured(self, x: Tensor) -> Tensor:
        """Compute the values whose statistics `measure` takes, NaN where missing; by default x."""
        return x

    def measured_shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what is measured of an event; by default the event's own."""
        return event_shape

    def measure(self, statistics: Statistics) -> None:
        """Take the units and the initial noise from the statistics of the training part.

        Raises:
            DataError: if all values are constant, or their scale is beyond that of float32.
        """
        if not self.depends_on_data:
            return
        if self.units is not None:
            self.units.measure(statistics)
        if self.noise is not None and self.units is not None:
            self.noise.in_units(self.units.scale)
        elif self.noise is not None:
            spread = statistics.pooled(tuple(self.noise.scale.shape)).scale
            self.noise.begin_at(self.density.scale_of(spread))
        self.is_measured.fill_(True)

    def forward(self, parameter: Tensor) -> Likelihood:
        """Return the density of x for each output of the decoder, (..., *parameter)."""
        inner = (
            self.kind(parameter) if self.noise is None else self.kind(parameter, self.noise.scale)
        )
        return inner if self.units is None else Standardised(inner, self.units)

    def wide(self, x: Tensor) -> Likelihood:
        """Return independent values at an output of 0, with wide scales, for x (B, *event).

        The scale is three standard deviations where values are standardised, else the range [0, 1].
        """
        zeros = x.new_zeros(1, *self.density.parameter_shape(tuple(x.shape[1:])))
        scale = x.new_tensor(1.0 if self.units is None else WIDE)
        inner = self.kind(zeros) if self.noise is None else self.kind(zeros, scale)
        return inner if self.units is None else Standardised(inner, self.units)

    def standardise(self, x: Tensor) -> Tensor:
        """Return what the networks see of x, (..., *event)."""
        return x if self.units is None else self.units.standardise(x)

    def input_shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what the encoder sees of an event; by default the event's own."""
        return self.density.input_shape(event_shape)

    def encoder_input(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute what the encoder sees of x (B, *event), (B, *input).

        By default unseen values enter as 0, the mean where x is standardised, else a rough guess.
        """
        x = self.standardise(x)
        return x if mask is None else x.masked_fill(~mask, 0.0)

    def pseudo_inputs(self, x: Tensor) -> Tensor:
        """Compute where pseudo-inputs of a prior start, from events x in which NaN is missing."""
        return self.standardise(torch.where(x.isnan(), self.middle, x))

    def restricted_to(
        self, values: Tensor, event_shape: tuple[int, ...]
    ) -> "ObservationModel | None":
        """Return the model of some values of the flat event, for constant parameters.

        The shape of their indices is that of the smaller event: see `Likelihood.restriction`.

        Return None if the densities are made by a function, which may know of the event's shape.
        """
        if self.density is Likelihood:
            return None
        noise = units = None
        if self.noise is not None:
            scale = self.noise.scale.detach().expand(event_shape)
            noise = FixedNoise(scale.flatten()[values])
        if self.units is not None:
            units = self.units.restricted_to(values, event_shape)
        return ObservationModel(self.kind, noise, units)

    __call__: Callable[[Tensor], Likelihood]
