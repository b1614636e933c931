"""Samples: images that the model generates from its prior."""

from __future__ import annotations

from matplotlib.figure import Figure

from elboroom.figures.plots.checks import require_images, require_shape
from elboroom.figures.plots.mosaic import columns_for, gap_of, show_mosaic, wrap
from elboroom.figures.plots.style import TEXT_WIDTH, Array, new_figure, rgb, styled


@styled
def samples(means: Array, draws: Array) -> Figure:
    """Draw generated images: the means of p(x | z) above, draws from it below, z ~ p(z).

    Both blocks wrap in the same way, so a draw has the same place as its mean.

    Args:
        means: `(N, C, H, W)` in [0, 1].
        draws: `(N, C, H, W)` in [0, 1]; `draws[n]` comes from the same z as `means[n]`.

    Raises:
        UsageError: if these are not images, or the two shapes differ.
    """
    require_images("means", means, "N")
    require_shape("draws", draws, means.shape, "N, C, H, W")
    columns = columns_for(len(means), at_most=10)
    blocks = [wrap(rgb(images), columns) for images in (means, draws)]
    rows, _, height, width, _ = blocks[0].shape
    tile = min(0.8, TEXT_WIDTH / columns)
    figure = new_figure(max(columns * tile, 2.2), 2 * (rows * tile * height / width + 0.27))
    titles = ("means of p(x | z), z ~ p(z)", "draws x ~ p(x | z), same z")
    for axes, block, title in zip(figure.subplots(2), blocks, titles, strict=True):
        show_mosaic(axes, block, gap_of(block))
        axes.set_title(title)
        axes.set_anchor("W")
    return figure
