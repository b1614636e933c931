"""The 256 levels k/255 of a byte."""

from torch import Tensor

STEPS = 255
"""Steps between black, 0, and white, 1."""
HALF_STEP = 0.5 / STEPS
TAKES = "one of the levels 0, 1/255, …, 1"
_ROUNDING = 1e-5  # how far a value may lie from its level


def are_levels(x: Tensor) -> Tensor:
    """Return True where a value is a level."""
    off = (x * STEPS - (x * STEPS).round()).abs()
    return (x >= 0) & (x <= 1) & (off < STEPS * _ROUNDING)
