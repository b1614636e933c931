"""Interpolation between images in latent space."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from elboroom.errors import UsageError
from elboroom.figures.plots.checks import require_images
from elboroom.figures.plots.mosaic import gap_of, show_mosaic
from elboroom.figures.plots.style import TEXT_WIDTH, Array, new_figure, rgb, styled

LABEL = 0.3  # inches: width of the label of a column


@styled
def interpolation(paths: Array, ends: Sequence[tuple[str, str]]) -> Figure:
    """Draw the means of p(x | z) at equal steps between the posterior means of image pairs.

    Args:
        paths: `(R, T, C, H, W)` in [0, 1]: R pairs, T steps at t = 0, 1/(T−1), …, 1.
        ends: R pairs of names; `("1", "2")` labels its row "1 → 2".

    Raises:
        UsageError: if these are not images, T < 2, or `ends` does not have R pairs.
    """
    require_images("paths", paths, "R, T")
    rows, steps, _, height, width = paths.shape
    if steps < 2 or len(ends) != rows:
        raise UsageError(
            f"paths, ends: expected T ≥ 2 and R pairs, found T = {steps}, R = {rows} and "
            f"{len(ends)} pairs",
            why="a path runs from one end to the other, and the names of its ends label its row",
            fix="keep both ends of every path and pass one pair of names for each",
        )
    tiles = rgb(paths)
    tile = min(0.75, (TEXT_WIDTH - 0.7) / steps)
    figure = new_figure(steps * tile + 0.7, rows * tile * height / width + 0.45)
    axes = figure.subplots()
    show_mosaic(axes, tiles, gap_of(tiles))
    labelled = range(0, steps, _stride(steps, tile))
    axes.set_xticks(labelled, [f"{round(step / (steps - 1), 2):g}" for step in labelled])
    axes.set_yticks(range(rows), [f"{start} → {end}" for start, end in ends])
    axes.set_xlabel("fraction of the way, t")
    return figure


def _stride(steps: int, tile: float) -> int:
    """Return the smallest stride that leaves room for labels and includes both ends."""
    last = steps - 1
    return next(s for s in range(1, steps) if last % s == 0 and (s * tile >= LABEL or s == last))
