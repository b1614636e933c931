"""Contours: the true posterior of a two-dimensional z, and the q that was fitted to it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from elboroom.figures.plots.arrays import Array, Values, as_array
from elboroom.figures.plots.checks import require_images, require_mask, require_shape
from elboroom.figures.plots.densities import (
    levels_of,
    maximum,
    nats,
    outline,
    shade,
    with_note,
    zoom,
)
from elboroom.figures.plots.mosaic import columns_for
from elboroom.figures.plots.style import (
    BLUE,
    COLUMN_WIDTH,
    TEXT_WIDTH,
    VERMILION,
    caption_height,
    new_figure,
    settle,
    styled,
)
from elboroom.figures.plots.tones import Tones, ValueRange

HEADER = 0.33  # inches: height of the image above a panel
LABELS = 0.55  # inches: width of the labels of a panel's axes


@styled
def contours(
    z1: Values,
    z2: Values,
    log_posterior: Values,
    log_q: Values,
    kl: Values,
    images: Values,
    masks: Values,
    *,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw isocontours of the true posterior and of its fit, one panel per partly seen image.

    Both densities have the same contours: 0.5, 2, 4.5 and 8 nats below the maximum of the true
    posterior. A panel is zoomed to its contours and has equal scales on its axes.

    Args:
        z1: `(P, n)`, increasing: the panel's grid along z₁.
        z2: `(P, m)`, increasing: the panel's grid along z₂.
        log_posterior: `(P, n, m)` nats: log p(z | seen) at `(z1[p, i], z2[p, j])`, NORMALISED: the
            density integrates to 1. `-inf` is allowed.
        log_q: `(P, n, m)` nats: log q(z | seen), normalised too.
        kl: `(P,)` nats: the exact KL(q‖p).
        images: `(P, C, H, W)`, NaN where a pixel is missing.
        masks: `(P, C, H, W)` bool, True = seen.
        caption: a line below the legend.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if the shapes do not fit, or a density has a NaN or is zero everywhere.

    Example:
        >>> exact, axis = infer.grid(model, x, mask, generator=generator), torch.linspace(-3, 3, 60)
        >>> z = torch.cartesian_prod(axis, axis)[:, None].expand(-1, 3, 2)
        >>> log_p, log_q = (one.log_prob(z).T.view(3, 60, 60) for one in (exact, posterior))
        >>> z1 = z2 = axis.expand(3, 60)
        >>> kl, seen = exact.kl(posterior.q), mask.expand(x.shape)
        >>> len(figures.contours(z1, z2, log_p, log_q, kl, x, seen).axes)  # a panel for each image
        3
    """
    z1, z2, kl = as_array("z1", z1), as_array("z2", z2), as_array("kl", kl)
    log_posterior, log_q = as_array("log_posterior", log_posterior), as_array("log_q", log_q)
    images, masks = as_array("images", images), as_array("masks", masks)
    panels, n, m = len(images), z1.shape[-1], z2.shape[-1]
    require_images("images", images, "P")
    require_mask("masks", masks, images)
    require_shape("z1", z1, (panels, n), "P, n")
    require_shape("z2", z2, (panels, m), "P, m")
    require_shape("log_posterior", log_posterior, (panels, n, m), "P, n, m")
    require_shape("log_q", log_q, (panels, n, m), "P, n, m")
    require_shape("kl", kl, (panels,), "P")
    tones = Tones.of(value_range, np.where(masks, images, np.nan))
    figure, every_axes, side = _panels(panels, tones, caption)
    for p, axes in enumerate(every_axes):
        _densities(axes, z1[p], z2[p], log_posterior[p], log_q[p])
        axes.locator_params(nbins=round(2 + side), steps=[1, 2, 5, 10])
        tones.show(_header(axes, float(kl[p]), HEADER / side), images[p], masks[p])
    _legend(figure, caption)
    tones.add_bar(figure, every_axes)
    settle(figure)
    # The panels become squares last, because the layout takes long to settle around squares.
    for axes in every_axes:
        axes.set_aspect("equal")
    return figure


def _panels(count: int, tones: Tones, caption: str | None) -> tuple[Figure, list[Axes], float]:
    """Make the figure and its panels, and return also the side of a panel in inches, roughly."""
    columns = columns_for(count, at_most=4)
    rows = -(-count // columns)
    width = max(COLUMN_WIDTH, TEXT_WIDTH * min(columns / 3, 1))
    side = width / columns - LABELS
    extra = tones.bar_height(width) + caption_height(caption, width)
    figure = new_figure(width, rows * (side + HEADER + LABELS) + 0.45 + extra)
    grid = figure.add_gridspec(rows, columns)
    panels = [figure.add_subplot(grid[divmod(k, columns)]) for k in range(count)]
    return figure, panels, side


def _densities(axes: Axes, z1: Array, z2: Array, log_posterior: Array, log_q: Array) -> None:
    levels = levels_of(log_posterior)
    maximum(log_q)
    shade(axes, z1, z2, log_posterior, levels, BLUE)
    outline(axes, z1, z2, log_q, levels, VERMILION, linewidths=1.1, linestyles="dashed")
    zoom(axes, z1, z2, np.maximum(log_posterior, log_q) >= levels[0])
    axes.set(xlabel="z₁", ylabel="z₂")


def _header(axes: Axes, kl: float, share: float) -> Axes:
    """Put KL(q‖p) above the panel, and beside it axes for the image, which are returned."""
    axes.text(
        share * 1.15,
        1.04 + share / 2,
        f"KL(q‖p)\n= {nats(kl)}",
        transform=axes.transAxes,
        va="center",
        linespacing=1.3,
    )
    return axes.inset_axes((0.0, 1.04, share, share))


def _legend(figure: Figure, caption: str | None) -> None:
    handles = [
        Line2D([], [], color=BLUE, linewidth=0.8, label="true posterior p(z | seen)"),
        Line2D([], [], color=VERMILION, linewidth=1.1, linestyle="dashed", label="fit q(z | seen)"),
    ]
    figure.legend(
        handles=handles,
        ncols=2,
        loc="outside upper center",
        title=with_note(caption, figure.get_figwidth()),
    )
