"""Interpolation between images in latent space."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import Values, as_array
from elboroom.figures.plots.checks import require_images
from elboroom.figures.plots.mosaic import show_walks
from elboroom.figures.plots.style import styled
from elboroom.figures.plots.tones import Tones, ValueRange


@styled
def interpolation(
    paths: Values,
    ends: Sequence[tuple[str, str]],
    *,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw the means of p(x | z) at equal steps between the posterior means of image pairs.

    Args:
        paths: `(R, T, C, H, W)`: R pairs, T steps at t = 0, 1/(T−1), …, 1.
        ends: R pairs of names; `("1", "2")` labels its row "1 → 2".
        caption: a line above the figure.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images, T < 2, or `ends` does not have R pairs.

    Example:
        >>> start, end = model.posterior(x).mean[:2]
        >>> t = torch.linspace(0, 1, 7)[:, None]
        >>> path = model.decode((1 - t) * start + t * end).mean
        >>> path.shape
        torch.Size([7, 1, 28, 28])
        >>> figures.interpolation(path[None], ends=[("1", "6")]).savefig("interpolation.png")
    """
    paths = as_array("paths", paths)
    require_images("paths", paths, "R, T")
    rows, steps = paths.shape[:2]
    if steps < 2 or len(ends) != rows:
        raise UsageError(
            f"paths, ends: expected T ≥ 2 and R pairs, found T = {steps}, R = {rows} and "
            f"{len(ends)} pairs",
            why="a path runs from one end to the other, and the names of its ends label its row",
            fix="keep both ends of every path and pass one pair of names for each",
        )
    fractions = [f"{round(step / (steps - 1), 2):g}" for step in range(steps)]
    names = [f"{start} → {end}" for start, end in ends]
    tones = Tones.of(value_range, paths)
    figure, axes = show_walks(paths, fractions, names, tones, caption)
    axes.set_xlabel("fraction of the way, t")
    return figure
