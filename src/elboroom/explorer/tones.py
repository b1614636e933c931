"""The tones of a picture: which values are drawn black and white."""

import msgspec
import torch
from torch import Tensor

from elboroom.data import Part
from elboroom.explorer.number_array import NumberArray

_MEASURED_ROWS = 500


class Tones(msgspec.Struct, frozen=True):
    """The values that are drawn black and white, in the units of the data."""

    low: float
    high: float

    @classmethod
    def of(cls, part: Part, *, in_unit_interval: bool) -> "Tones":
        """Return 0 and 1 for values known to lie there, else the ends of the first rows."""
        if in_unit_interval:
            return cls(0.0, 1.0)
        x = part.rows(list(range(min(_MEASURED_ROWS, len(part))))).x
        known = x[~x.isnan()]
        low, high = float(known.min()), float(known.max())
        return cls(low, high if high > low else low + 1.0)

    def drawn(self, x: Tensor) -> NumberArray:
        """Return the tones of pictures, 0 to 255; a missing value is black."""
        share = (x.nan_to_num(self.low) - self.low) / (self.high - self.low)
        return NumberArray.of((255 * share.clamp(0, 1)).round().to(torch.uint8))
