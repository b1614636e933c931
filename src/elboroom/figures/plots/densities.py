"""Densities of a two-dimensional z, drawn as contours at common levels."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import Array
from elboroom.figures.plots.style import wrapped

DEPTHS = (0.5, 2.0, 4.5, 8.0)  # nats below the maximum: 1, 2, 3, 4 σ of a Gaussian
FLOOR = 92.0  # nats below the outermost level: values are clipped here to be finite
NOTE = f"contours {', '.join(f'{depth:g}' for depth in DEPTHS)} nats below the true maximum"


def levels_of(log_posterior: Array) -> list[float]:
    """Return the contour levels in increasing order for a true `log_posterior` `(n, m)`.

    Raises:
        UsageError: if it has a NaN or the density is zero everywhere.
    """
    top = maximum(log_posterior)
    return [top - depth for depth in reversed(DEPTHS)]


def maximum(log_density: Array) -> float:
    """Return the largest value of `log_density`.

    Raises:
        UsageError: if it has a NaN or the density is zero everywhere.
    """
    top = float(np.max(log_density))
    if not np.isfinite(top):
        raise UsageError(
            f"log_posterior, log_q: expected a finite maximum and no NaN, found {top}",
            why="contours are drawn at depths below the maximum of a density",
            fix="pass log densities in nats, with -inf where a density is zero",
        )
    return top


def shade(
    axes: Axes, z1: Array, z2: Array, log_density: Array, levels: list[float], colour: str
) -> None:
    """Fill the contours of `log_density` `(n, m)`, higher levels darker, and outline them."""
    shades = [to_rgba(colour, opacity) for opacity in (0.08, 0.16, 0.26, 0.4)]
    clipped = np.clip(log_density, levels[0] - FLOOR, None).T
    axes.contourf(z1, z2, clipped, levels=[*levels, levels[-1] + 1.5], colors=shades)
    outline(axes, z1, z2, log_density, levels, colour, linewidths=0.8, linestyles="solid")


def outline(
    axes: Axes,
    z1: Array,
    z2: Array,
    log_density: Array,
    levels: list[float],
    colour: str,
    *,
    linewidths: float,
    linestyles: str,
) -> None:
    """Draw the contours of `log_density` `(n, m)`, if it reaches any of the levels."""
    clipped = np.clip(log_density, levels[0] - FLOOR, None).T
    if clipped.max() > levels[0]:
        axes.contour(
            z1,
            z2,
            clipped,
            levels=levels,
            colors=colour,
            linewidths=linewidths,
            linestyles=linestyles,
        )


def zoom(axes: Axes, z1: Array, z2: Array, inside: Array) -> None:
    """Show a square around the grid points that lie `inside` `(n, m)` the outermost contours."""
    spans = z1[inside.any(axis=1)], z2[inside.any(axis=0)]
    # Contours extend up to one cell beyond the last grid point inside them.
    cell = max(np.diff(z1).max(), np.diff(z2).max())
    half = 0.52 * max(np.ptp(span) for span in spans) + cell
    for span, set_limits in zip(spans, (axes.set_xlim, axes.set_ylim), strict=True):
        centre = (span.min() + span.max()) / 2
        set_limits(centre - half, centre + half)


def nats(kl: float) -> str:
    """Format a divergence."""
    return f"{kl:z.3f} nats" if kl < 100 else f"{kl:,.0f} nats"


def with_note(caption: str | None, width: float) -> str:
    """Return the title of a legend: the caption of a figure `width` inches wide, and the note."""
    return "\n".join([*wrapped(caption or "", width), NOTE])
