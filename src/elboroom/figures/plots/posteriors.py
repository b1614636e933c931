"""Posteriors: a two-dimensional p(z | seen) and its approximations by several methods."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import Array, Values, as_array, as_arrays
from elboroom.figures.plots.checks import (
    require_draws,
    require_images,
    require_mask,
    require_methods,
    require_shape,
)
from elboroom.figures.plots.densities import (
    levels_of,
    maximum,
    nats,
    outline,
    shade,
    with_note,
    zoom,
)
from elboroom.figures.plots.mosaic import PAGE
from elboroom.figures.plots.style import (
    BLUE,
    CHARACTER,
    GREY,
    SMALL,
    TEXT_WIDTH,
    VERMILION,
    caption_height,
    new_figure,
    settle,
    styled,
)
from elboroom.figures.plots.tones import Tones, ValueRange

MOST_IMAGES, MOST_METHODS, MOST_POINTS = 6, 5, 300
PICTURE = 0.75  # inches: width of the image at the left of a row
LABELS = 0.45  # inches: width of the labels of z₂, and height of those of z₁
KL_LINE = 12  # points: height of the line with KL(q‖p) above a panel
LEGEND_ENTRY = 1.5  # inches: width of an entry of the legend


@styled
def posteriors(
    z1: Values,
    z2: Values,
    log_posterior: Values,
    log_q: Mapping[str, Values],
    kl: Mapping[str, Values],
    images: Values,
    masks: Values,
    *,
    draws: Mapping[str, Values] | None = None,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw one row per partly seen image: what was seen, the true posterior, a panel per method.

    All densities of a row have the same contours: 0.5, 2, 4.5 and 8 nats below the maximum of the
    true posterior. All panels of a row show the same square of the latent plane. A method's panel
    has the true posterior in grey behind the method's density or draws. A density that is below
    every contour on the whole grid is not visible; its KL(q‖p) is large.

    Args:
        z1: `(P, n)`, increasing: the row's grid along z₁. P ≤ 6.
        z2: `(P, m)`, increasing: the row's grid along z₂.
        log_posterior: `(P, n, m)` nats: log p(z | seen) at `(z1[p, i], z2[p, j])`, NORMALISED: the
            density integrates to 1. `-inf` is allowed.
        log_q: by the name of a method, `(P, n, m)` nats: its log q(z | seen), normalised too.
        kl: by the name of a method in `log_q`, `(P,)` nats: the exact KL(q‖p). It is not printed
            if it is NaN or the method is left out.
        images: `(P, C, H, W)`, NaN where a pixel is missing.
        masks: `(P, C, H, W)` bool, True = seen.
        draws: by the name of a method, `(K, P, 2)`: z of methods that only draw. At most 300 are
            shown, evenly spaced among the K. Draws outside the grid are not shown.
        caption: a line above the legend.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if the shapes do not fit, a density has a NaN or is zero everywhere, a draw is
            not finite, there are more than 6 images, or not 1 to 5 methods in all.

    Example:
        >>> exact, axis = infer.grid(model, x, mask, generator=generator), torch.linspace(-3, 3, 60)
        >>> z = torch.cartesian_prod(axis, axis)[:, None].expand(-1, 3, 2)
        >>> log_p, log_q = (one.log_prob(z).T.view(3, 60, 60) for one in (exact, posterior))
        >>> z1 = z2 = axis.expand(3, 60)
        >>> kl, seen = {"laplace": exact.kl(posterior.q)}, mask.expand(x.shape)
        >>> len(figures.posteriors(z1, z2, log_p, {"laplace": log_q}, kl, x, seen).axes)  # 3 × 3
        9
    """
    z1, z2, images = as_array("z1", z1), as_array("z2", z2), as_array("images", images)
    log_posterior, masks = as_array("log_posterior", log_posterior), as_array("masks", masks)
    log_q, kl, draws = (
        as_arrays("log_q", log_q),
        as_arrays("kl", kl),
        as_arrays("draws", draws or {}),
    )
    _require(z1, z2, log_posterior, log_q, kl, images, masks, draws)
    tones = Tones.of(value_range, np.where(masks, images, np.nan))
    figure, rows = _panels(len(images), [*log_q, *draws], tones, caption)
    for p, (picture, truth, *panels) in enumerate(rows):
        tones.show(picture, images[p], masks[p])
        levels = levels_of(log_posterior[p])
        shade(truth, z1[p], z2[p], log_posterior[p], levels, BLUE)
        inside = log_posterior[p] >= levels[0]
        for axes in panels:
            shade(axes, z1[p], z2[p], log_posterior[p], levels, GREY)
        for axes, (name, log) in zip(panels, log_q.items(), strict=False):
            maximum(log[p])
            outline(axes, z1[p], z2[p], log[p], levels, VERMILION, linewidths=1.1, linestyles="-")
            inside |= log[p] >= levels[0]
            _print_kl(axes, float(kl[name][p]) if name in kl else np.nan)
        for axes, z in zip(panels[len(log_q) :], draws.values(), strict=True):
            inside |= _scatter(axes, z1[p], z2[p], z[:, p])
        for axes in (truth, *panels):
            zoom(axes, z1[p], z2[p], inside)
    _legend(figure, caption, fits=bool(log_q), points=bool(draws))
    every_axes = list(figure.axes)
    tones.add_bar(figure, every_axes)
    settle(figure)
    for axes in every_axes:
        # The solver's last digits differ from run to run.
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6).tolist())
        # The panels become squares last, because the layout takes long to settle around squares.
        axes.set_aspect("equal")
    return figure


def _require(
    z1: Array,
    z2: Array,
    log_posterior: Array,
    log_q: Mapping[str, Array],
    kl: Mapping[str, Array],
    images: Array,
    masks: Array,
    draws: Mapping[str, Array],
) -> None:
    require_images("images", images, "P")
    require_mask("masks", masks, images)
    if len(images) > MOST_IMAGES:
        raise UsageError(
            f"images: expected at most {MOST_IMAGES}, found {len(images)}",
            why="each has a row, and the rows share a page",
            fix="choose some of them, or draw several figures",
        )
    rows, n, m = len(images), z1.shape[-1], z2.shape[-1]
    require_shape("z1", z1, (rows, n), "P, n")
    require_shape("z2", z2, (rows, m), "P, m")
    require_shape("log_posterior", log_posterior, (rows, n, m), "P, n, m")
    require_methods("log_q, draws", [*log_q, *draws], MOST_METHODS)
    for name, log in log_q.items():
        require_shape(f'log_q["{name}"]', log, (rows, n, m), "P, n, m")
    for name, z in draws.items():
        require_draws(f'draws["{name}"]', z, (rows, 2), "P, 2")
    for name, values in kl.items():
        require_shape(f'kl["{name}"]', values, (rows,), "P")
    if not set(kl) <= set(log_q):
        raise UsageError(
            f"kl: expected names among {', '.join(log_q)}, found {', '.join(kl)}",
            why="each KL(q‖p) is printed above its density",
            fix="use the same names in log_q and kl",
        )


def _panels(
    count: int, methods: list[str], tones: Tones, caption: str | None
) -> tuple[Figure, list[list[Axes]]]:
    """Make the figure and its rows: the picture, the true posterior, and a panel per method."""
    panels = 1 + len(methods)
    side = min((TEXT_WIDTH - PICTURE - LABELS) / panels, PAGE / count - LABELS, 1.7)
    width = max(PICTURE + LABELS + panels * side, 2.2 * LEGEND_ENTRY)
    extra = tones.bar_height(width) + caption_height(caption, width)
    figure = new_figure(width, count * (side + LABELS) + 0.6 + extra)
    grid = figure.add_gridspec(count, 1 + panels, width_ratios=[PICTURE, *[side] * panels])
    rows = [[figure.add_subplot(grid[p, c]) for c in range(1 + panels)] for p in range(count)]
    for _, *others in rows:
        for axes in others:
            axes.locator_params(nbins=round(2 + side), steps=[1, 2, 5, 10])
            axes.tick_params(labelleft=axes is others[0])
        others[0].set_ylabel("z₂")
    figure.align_ylabels([row[1] for row in rows])
    for axes in figure.axes:
        axes.set_anchor("N")  # aligns the tops of a row
    wide = int((side - 0.05) / CHARACTER)
    for axes, name in zip(rows[0], ["seen", "true posterior", *methods], strict=True):
        axes.set_title(textwrap.fill(name, wide), pad=4 + KL_LINE)
    for axes in rows[-1][1:]:
        axes.set_xlabel("z₁")
    return figure, rows


def _print_kl(axes: Axes, kl: float) -> None:
    if not np.isnan(kl):
        above = {"xytext": (0, 4), "textcoords": "offset points", "fontsize": SMALL}
        axes.annotate(f"KL {nats(kl)}", (0, 1), xycoords="axes fraction", va="bottom", **above)


def _scatter(axes: Axes, z1: Array, z2: Array, z: Array) -> Array:
    """Show draws `(K, 2)`, and return which points of the grid are nearest to one, `(n, m)`."""
    shown = z[np.linspace(0, len(z) - 1, min(len(z), MOST_POINTS)).round().astype(int)]
    axes.scatter(*shown.T, s=2.5, c=VERMILION, alpha=0.5, linewidths=0)
    near = np.zeros((len(z1), len(z2)), dtype=bool)
    nearest = (
        np.searchsorted((g[1:] + g[:-1]) / 2, x) for g, x in zip((z1, z2), shown.T, strict=True)
    )
    near[tuple(nearest)] = True
    return near


def _legend(figure: Figure, caption: str | None, *, fits: bool, points: bool) -> None:
    handles = [
        Line2D([], [], color=BLUE, linewidth=0.8, label="true posterior p(z | seen)"),
        Line2D([], [], color=GREY, linewidth=0.8, label="the same, behind a method"),
    ]
    if fits:
        handles.append(Line2D([], [], color=VERMILION, linewidth=1.1, label="q(z | seen)"))
    if points:
        dot = {"linestyle": "none", "marker": "o", "markersize": 3, "markeredgewidth": 0}
        handles.append(Line2D([], [], color=VERMILION, label="draws of z", **dot))
    columns = len(handles) if figure.get_figwidth() > len(handles) * LEGEND_ENTRY else 2
    title = with_note(caption, figure.get_figwidth())
    figure.legend(handles=handles, ncols=columns, loc="outside upper center", title=title)
