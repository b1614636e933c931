"""Reconstructions: images over what the model makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import Values, as_array
from elboroom.figures.plots.checks import require_images, require_names, require_shape
from elboroom.figures.plots.mosaic import show_rows
from elboroom.figures.plots.style import styled
from elboroom.figures.plots.tones import Tones, ValueRange


@styled
def reconstructions(
    originals: Values,
    means: Values,
    *,
    labels: tuple[str, str] = ("original", "mean"),
    names: Sequence[str] | None = None,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw one column per image: the original, and below it the mean of p(x | z) at its z.

    Missing pixels of the originals, NaN, are tinted.

    Args:
        originals: `(P, C, H, W)`.
        means: `(P, C, H, W)`, the reconstructions.
        labels: the names of the two rows.
        names: P names, each below its column; none if None.
        caption: a line above the figure, for example on the z that is decoded.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images, or their shapes or the names do not fit.
    """
    originals, means = as_array("originals", originals), as_array("means", means)
    require_images("originals", originals, "P")
    require_shape("means", means, originals.shape, "P, C, H, W")
    require_names("names", names, len(originals))
    tones = Tones.of(value_range, originals, means)
    tiles = np.stack([tones.rgb(images) for images in (originals, means)])
    figure, _ = show_rows(tiles, labels, tones, names=names, caption=caption)
    return figure
