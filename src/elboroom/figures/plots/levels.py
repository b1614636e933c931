"""Levels: images whose lower levels of latents are drawn again, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import Values, as_array
from elboroom.figures.plots.checks import require_images, require_names, require_shape
from elboroom.figures.plots.mosaic import show_rows
from elboroom.figures.plots.style import styled
from elboroom.figures.plots.tones import Tones, ValueRange

_MARGIN = 0.9  # inches: room for the words beside a row


@styled
def levels(
    originals: Values,
    means: Values,
    *,
    labels: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw one column per image: the original, then the means of p(x | z) with fewer kept levels.

    What stays the same along a column is what the upper levels of a ladder know of an image.

    Args:
        originals: `(P, C, H, W)`.
        means: `(R, P, C, H, W)`: a row for each number of levels that keep their latents.
        labels: R names of the rows below the originals; by default those of R − 1, …, 0 levels.
        names: P names below the columns; none if None.
        caption: a line above the figure.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images, or their shapes or the names do not fit.

    Example:
        >>> config = ModelConfig(network="ladder", channels=(8, 8))
        >>> ladder = VAE.from_config(config, data.event_shape, generator=generator)
        >>> z, new = (q.sample(1, generator)[0] for q in (ladder.posterior(x), ladder.prior(3)))
        >>> z.shape, ladder.level_shapes  # of each level, the top first
        (torch.Size([3, 1178]), ((2,), (8, 7, 7), (8, 7, 7), (2, 14, 14)))
        >>> mixed = torch.cat([z[:, :2], new[:, 2:]], 1)  # the top is kept, the rest drawn anew
        >>> figures.levels(x, ladder.decode(torch.stack([z, mixed])).mean).savefig("levels.png")
    """
    originals, means = as_array("originals", originals), as_array("means", means)
    require_images("originals", originals, "P")
    require_images("means", means, "R, P")
    require_shape("means", means, (len(means), *originals.shape), "R, P, C, H, W")
    require_names("names", names, len(originals))
    kept = range(len(means) - 1, -1, -1)
    labels = [f"{count} kept" for count in kept] if labels is None else labels
    require_names("labels", labels, len(means))
    tones = Tones.of(value_range, originals, means)
    tiles = np.stack([tones.rgb(images) for images in (originals, *means)])
    rows = ("original", *labels)
    figure, _ = show_rows(tiles, rows, tones, margin=_MARGIN, names=names, caption=caption)
    return figure
