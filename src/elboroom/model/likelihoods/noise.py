"""The scale of the noise, σ or s: fixed, or learned from where the data are."""

import torch
from torch import Tensor, nn

# In units of the initial scale. Without a floor, values that never vary drive σ to 0.
LEAST_NOISE = 1e-3
# A step of Adam moves a parameter by the learning rate, so log σ moves by ten times that.
_SPEED = 10.0
_UNMEASURED = 0.25  # a scale for values in [0, 1], until the data's own is measured


class FixedNoise(nn.Module):
    """A scale that is given, and is not trained.

    Args:
        scale: broadcast to the event.
    """

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)

    def begin_at(self, scale: Tensor) -> None:
        """Keep the given scale: that of the data does not matter."""

    def in_units(self, scale: Tensor) -> None:
        """Divide the scale by that of standardised values, in place."""
        self.scale.div_(scale)


class LearnedNoise(nn.Module):
    """A scale that is learned, from its initial value downwards or upwards.

    Args:
        shape: broadcasts to the event: the event's own for one scale for each value, (C, 1, 1) for
            one for each channel, () for one for all.
        initial: the initial scale.
        least: a bound that the scale stays above, in units of the initial one.
    """

    initial: Tensor

    def __init__(
        self, shape: tuple[int, ...], initial: float = _UNMEASURED, least: float = LEAST_NOISE
    ) -> None:
        super().__init__()
        self.least = least
        self.register_buffer("initial", torch.full(shape, initial))
        self.log_ratio = nn.Parameter(torch.zeros(shape))

    @property
    def scale(self) -> Tensor:
        """σ or s, broadcast to the event."""
        # σ = σ₀ [ λ + (1 − λ) exp 10 ρ ],  λ = 0.001 by default
        return self.initial * (self.least + (1 - self.least) * (_SPEED * self.log_ratio).exp())

    def begin_at(self, scale: Tensor) -> None:
        """Set the initial scale, broadcast to the event."""
        self.initial.copy_(scale)

    def in_units(self, scale: Tensor) -> None:
        """Begin at 1, the scale of standardised values."""
        self.initial.fill_(1.0)


Noise = FixedNoise | LearnedNoise
