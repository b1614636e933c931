"""Reconstructions: images over what the model makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import Array, Values, as_array
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

    The number below a column is the root mean square of the difference of the two, in the unit of
    the values. Missing pixels of the originals, NaN, are tinted, and have no part in it.

    Args:
        originals: `(P, C, H, W)`.
        means: `(P, C, H, W)`, the reconstructions.
        labels: the names of the two rows.
        names: P names, each below its column and above its error; none if None.
        caption: a line above the figure, for example on the z that is decoded.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images, or their shapes or the names do not fit.

    Example:
        >>> means = model.decode(model.posterior(x).mean).mean
        >>> x.shape, means.shape
        (torch.Size([3, 1, 28, 28]), torch.Size([3, 1, 28, 28]))
        >>> figures.reconstructions(x, means, names=["1", "6", "9"]).savefig("reconstructions.png")
    """
    originals, means = as_array("originals", originals), as_array("means", means)
    require_images("originals", originals, "P")
    require_shape("means", means, originals.shape, "P, C, H, W")
    require_names("names", names, len(originals))
    tones = Tones.of(value_range, originals, means)
    tiles = np.stack([tones.rgb(images) for images in (originals, means)])
    below = _errors(originals, means)
    if names is not None:
        below = [f"{name}\n{error}" for name, error in zip(names, below, strict=True)]
    figure, _ = show_rows(tiles, labels, tones, names=below, caption=caption)
    return figure


def _errors(originals: Array, means: Array) -> list[str]:
    """Return the root mean square error of each image over its known pixels, in words."""
    squares = (originals.astype(np.float64) - means) ** 2
    known = ~np.isnan(squares)
    counts = known.sum(axis=(1, 2, 3))
    sums = np.where(known, squares, 0.0).sum(axis=(1, 2, 3))
    pairs = zip(sums, counts, strict=True)
    return [
        f"{math.sqrt(total / count):#.2g}".rstrip(".") if count else "–" for total, count in pairs
    ]
