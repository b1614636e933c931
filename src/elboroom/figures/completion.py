"""Completion: the unseen part of an image, filled in from the part that was seen."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from elboroom.figures.mosaic import gap_of, show_mosaic
from elboroom.figures.shapes import require_images, require_mask, require_shape
from elboroom.figures.style import TEXT_WIDTH, Array, new_figure, rgb, styled

# Opacity of the tint over pixels that the model filled in; on RGB it would pass for their colour.
INVENTED = {1: 0.25, 3: 0.0}


@styled
def completion(images: Array, masks: Array, mean: Array, draws: Array) -> Figure:
    """Draw one column per image: what was seen, its completions, and the original.

    Seen pixels always come from `images`. The unseen are a flat tint in the row "seen", and a
    faint tint marks those that the model filled in, if the images are grey.

    Args:
        images: `(P, C, H, W)` in [0, 1], the originals.
        masks: `(P, C, H, W)` bool, True = seen.
        mean: `(P, C, H, W)` in [0, 1]: the mean of p(unseen | seen); its seen pixels are not used.
        draws: `(S, P, C, H, W)` in [0, 1]: draws from p(unseen | seen); likewise.

    Raises:
        UsageError: these are not images or a mask, or their shapes differ.
    """
    require_images("images", images, "P")
    require_mask("masks", masks, images)
    require_shape("mean", mean, images.shape, "P, C, H, W")
    require_images("draws", draws, "S, P")
    require_shape("draws", draws, (len(draws), *images.shape), "S, P, C, H, W")
    filled = np.where(masks, images, np.concatenate([mean[None], draws]))
    invented = np.broadcast_to(~masks, filled.shape)
    rows = [
        rgb(images, ~masks),
        *rgb(filled, invented, opacity=INVENTED[images.shape[1]]),
        rgb(images),
    ]
    numbered = [f"draw {s}" for s in range(1, len(draws) + 1)]
    return _sheet(np.stack(rows), ["seen", "mean", *numbered, "original"])


def _sheet(tiles: Array, labels: list[str]) -> Figure:
    rows, columns, height, width, _ = tiles.shape
    tile = min(0.75, (TEXT_WIDTH - 0.5) / columns)
    figure = new_figure(columns * tile + 0.5, rows * tile * height / width + 0.1)
    axes = figure.subplots()
    show_mosaic(axes, tiles, gap_of(tiles))
    axes.set_yticks(range(rows), labels)
    return figure
