"""Numbers as the explorer's page writes them."""

import math

from torch import Tensor

_MINUS = "−"


def fixed(value: float | Tensor, decimals: int) -> str:
    """Write so many decimals."""
    text = f"{abs(float(value)):,.{decimals}f}"
    return _MINUS + text if value < 0 and float(text.replace(",", "")) else text


def significant(value: float | Tensor, digits: int = 3) -> str:
    """Write so many digits of a number between 0.0001 and 10,000,000."""
    whole = math.floor(math.log10(abs(value))) + 1
    return fixed(value, max(0, digits - whole))


def with_error(mean: float, error: float) -> str:
    """Write a mean with its standard error, of which two digits are shown."""
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{fixed(mean, decimals)} ± {fixed(error, decimals)}"
