"""The manifold: a two-dimensional latent space, decoded point by point."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from elboroom.figures.plots.checks import require_images, require_shape
from elboroom.figures.plots.mosaic import show_mosaic
from elboroom.figures.plots.style import Array, new_figure, rgb, styled

SIDE = 4.6  # inches


@styled
def manifold(images: Array, coordinates: Array, heights: Array | None = None) -> Figure:
    """Draw decoded means over a grid of latent points, without gaps.

    `images[i, j]` is decoded at z₁ = `coordinates[j]`, z₂ = `heights[i]`. It is drawn in column j
    from the left and row i from the BOTTOM, so z₁ grows to the right and z₂ upwards.

    Args:
        images: `(n, n, C, H, W)` in [0, 1].
        coordinates: `(n,)`, increasing: the values of z₁, usually the prior's quantiles at equal
            steps of probability (Kingma & Welling 2013, figure 4).
        heights: `(n,)`, increasing: the values of z₂; None for those of z₁.

    Raises:
        UsageError: if these are not images, or the shapes do not fit.
    """
    require_images("images", images, "n, n")
    count, _, channels, height, width = images.shape
    require_shape("images", images, (count, count, channels, height, width), "n, n, C, H, W")
    require_shape("coordinates", coordinates, (count,), "n")
    heights = coordinates if heights is None else heights
    require_shape("heights", heights, (count,), "n")
    figure = new_figure(SIDE, (SIDE - 0.5) * height / width + 0.45)
    axes = figure.subplots()
    show_mosaic(axes, rgb(images)[::-1], gap=0)
    few = min(count, 6 + count % 2)  # even if n is, so that ticks are symmetric about the middle
    ticks = np.linspace(0, count - 1, few).round().astype(int)
    axes.tick_params(length=2.5)
    axes.set_xticks(ticks, _labels(coordinates[ticks]))
    axes.set_yticks(count - 1 - ticks, _labels(heights[ticks]))
    axes.set(xlabel="z₁", ylabel="z₂")
    return figure


def _labels(values: Array) -> list[str]:
    return [f"{value:z.2f}".replace("-", "−") for value in values]
