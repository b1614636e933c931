"""A figure as PNG."""

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100


def png(figure: "Figure") -> BytesIO:
    """Return a figure as a PNG file, at the size of a screen."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer
