"""The manifold: a two-dimensional latent space, decoded point by point."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import Array, Values, as_array
from elboroom.figures.plots.checks import require_images, require_shape
from elboroom.figures.plots.mosaic import show_mosaic
from elboroom.figures.plots.style import caption_height, new_figure, styled, write_caption
from elboroom.figures.plots.tones import Tones, ValueRange

SIDE = 4.6  # inches


@styled
def manifold(
    images: Values,
    coordinates: Values,
    heights: Values | None = None,
    *,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw decoded means over a grid of latent points, without gaps.

    `images[i, j]` is decoded at z₁ = `coordinates[j]`, z₂ = `heights[i]`. It is drawn in column j
    from the left and row i from the BOTTOM, so z₁ grows to the right and z₂ upwards.

    Args:
        images: `(n, n, C, H, W)`.
        coordinates: `(n,)`, increasing: the values of z₁, usually the prior's quantiles at equal
            steps of probability (Kingma & Welling 2013, figure 4).
        heights: `(n,)`, increasing: the values of z₂; None for those of z₁.
        caption: a line above the figure.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images, or the shapes do not fit.

    Example:
        >>> axis = torch.linspace(-2, 2, 5)
        >>> z2, z1 = torch.meshgrid(axis, axis, indexing="ij")
        >>> means = model.decode(torch.stack([z1, z2], -1)).mean
        >>> means.shape
        torch.Size([5, 5, 1, 28, 28])
        >>> figures.manifold(means, axis).savefig("manifold.png")
    """
    images, coordinates = as_array("images", images), as_array("coordinates", coordinates)
    require_images("images", images, "n, n")
    count, _, channels, height, width = images.shape
    require_shape("images", images, (count, count, channels, height, width), "n, n, C, H, W")
    require_shape("coordinates", coordinates, (count,), "n")
    heights = coordinates if heights is None else as_array("heights", heights)
    require_shape("heights", heights, (count,), "n")
    tones = Tones.of(value_range, images)
    extra = tones.bar_height(SIDE) + caption_height(caption, SIDE)
    figure = new_figure(SIDE, (SIDE - 0.5) * height / width + 0.45 + extra)
    axes = figure.subplots()
    show_mosaic(axes, tones.rgb(images)[::-1], gap=0)
    few = min(count, 6 + count % 2)  # even if n is, so that ticks are symmetric about the middle
    ticks = np.linspace(0, count - 1, few).round().astype(int)
    axes.tick_params(length=2.5)
    axes.set_xticks(ticks, _labels(coordinates[ticks]))
    axes.set_yticks(count - 1 - ticks, _labels(heights[ticks]))
    axes.set(xlabel="z₁", ylabel="z₂")
    write_caption(figure, caption)
    tones.add_bar(figure, [axes])
    return figure


def _labels(values: Array) -> list[str]:
    return [f"{value:z.2f}".replace("-", "−") for value in values]
