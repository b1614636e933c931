"""Numbers in float64, where sums of large terms would cancel in float32."""

from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Return values in float64; MPS has only float32."""
    return values if values.device.type == "mps" else values.double()
