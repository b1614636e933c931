"""Corner plots: the marginals of every dimension and of every pair of dimensions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType

from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import Array, Values, as_array, as_arrays
from elboroom.figures.plots.checks import require_draws, require_methods, require_shape
from elboroom.figures.plots.style import (
    BLUE,
    TEXT_WIDTH,
    VERMILION,
    caption_height,
    latent_name,
    new_figure,
    styled,
    write_caption,
)

LOOKS: tuple[tuple[str, LineStyleType], ...] = (
    # Okabe & Ito (2008); the dashes distinguish methods without colour.
    (BLUE, "-"),
    (VERMILION, "--"),
    ("#009E73", "-."),
    ("#CC79A7", "-"),
    ("black", ":"),
)
MASSES = (0.9, 0.5)  # shares of the draws inside the contours
MOST_DIMENSIONS = 8
CELLS = 160  # cells along an axis of the histograms that are smoothed
MARGIN = 0.15  # on either side of the draws, as a share of their width
SIDE = 1.75  # inches: side of a panel if the page has room
NAME_WIDTH = 20  # characters


@styled
def corner(
    draws: Mapping[str, Values],
    *,
    axis_labels: Sequence[str] | None = None,
    limits: Values | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw the density of every dimension on the diagonal, and of every pair below it.

    Contours hold 50 % and 90 % of a method's draws within the panel. The first method is shaded:
    give the reference first. All methods of a panel have one scale.

    A density is a histogram smoothed by a Gaussian. Its width is σ K^(−1/5) on the diagonal and
    σ K^(−1/6) below it (Scott, *Multivariate Density Estimation*, 1992, section 6.3). σ is the
    smaller of the standard deviation and 0.74 of the interquartile range (Silverman, *Density
    Estimation*, 1986, section 3.4).

    Args:
        draws: by the name of a method, draws of z, `(K, D)` with 2 ≤ D ≤ 8. K may differ.
        axis_labels: D names of the dimensions; z₁, z₂, … if None.
        limits: `(D, 2)`, the ends of each axis. None spans the draws without the outermost 1 % of
            each method.
        caption: a line above the figure.

    Raises:
        UsageError: if the shapes do not fit, a draw is not finite, D is not 2 to 8, the limits do
            not increase, or there are not 1 to 5 methods.

    Example:
        >>> deep = VAE.from_config(ModelConfig(latents=3), data.event_shape, generator=generator)
        >>> guess = infer.encoder(deep, x[:1], generator=generator)
        >>> fit = infer.laplace(deep, x[:1], generator=generator)
        >>> draws = {"laplace": fit.sample(500)[:, 0], "encoder": guess.sample(500)[:, 0]}
        >>> draws["laplace"].shape
        torch.Size([500, 3])
        >>> len(figures.corner(draws).axes)  # three latents, and three pairs
        6
    """
    draws = as_arrays("draws", draws)
    limits = None if limits is None else as_array("limits", limits)
    count = _require(draws, axis_labels, limits)
    limits = _limits_of(draws) if limits is None else limits
    labels = axis_labels or [latent_name(d) for d in range(count)]
    above = caption_height(caption, TEXT_WIDTH)
    figure, panels = _panels(limits, labels, above)
    for (row, column), axes in panels.items():
        for index, z in enumerate(draws.values()):
            if row == column:
                _marginal(axes, z[:, row], limits[row], index)
            else:
                _pair(axes, z[:, [column, row]], limits[[column, row]], index)
        if row == column:
            axes.set_ylim(bottom=0)
    write_caption(figure, caption)
    _legend(figure, list(draws), above)
    return figure


def _require(
    draws: Mapping[str, Array], axis_labels: Sequence[str] | None, limits: Array | None
) -> int:
    """Check the arguments, and return D."""
    require_methods("draws", draws, len(LOOKS))
    count = next(iter(draws.values())).shape[-1]
    for name, z in draws.items():
        require_draws(f'draws["{name}"]', z, (count,), "D")
    if not 2 <= count <= MOST_DIMENSIONS:
        raise UsageError(
            f"draws: expected 2 to {MOST_DIMENSIONS} dimensions, found D = {count}",
            why="each has a row and a column, and a page has no room for more",
            fix="choose some of them, as in z[:, [0, 3, 7]]",
        )
    if axis_labels is not None and len(axis_labels) != count:
        raise UsageError(
            f"axis_labels: expected {count}, found {len(axis_labels)}",
            why="there is one for each dimension of the draws",
            fix="pass as many names, or None for z₁, z₂, …",
        )
    if limits is not None:
        require_shape("limits", limits, (count, 2), "D, 2")
        if not (np.isfinite(limits).all() and (limits[:, 0] < limits[:, 1]).all()):
            raise UsageError(
                f"limits: expected finite (low, high) with low < high, found {limits.tolist()}",
                why="they are the ends of each axis",
                fix="pass them in that order, or None",
            )
    return count


def _limits_of(draws: Mapping[str, Array]) -> Array:
    """Compute limits `(D, 2)` around the draws of all methods without their outliers."""
    ends = np.stack([np.quantile(z, (0.005, 0.995), axis=0) for z in draws.values()])
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    return np.stack([low - MARGIN * width, high + MARGIN * width], axis=1)


def _panels(
    limits: Array, labels: Sequence[str], extra: float
) -> tuple[Figure, dict[tuple[int, int], Axes]]:
    """Make the figure, `extra` inches higher than its panels, and its panels by row and column."""
    count = len(labels)
    side = min(SIDE, (TEXT_WIDTH - 0.5) / count)
    figure = new_figure(count * side + 0.5, count * side + 0.4 + extra)
    grid = figure.add_gridspec(count, count)
    pairs = [(row, column) for row in range(count) for column in range(row + 1)]
    panels = {pair: figure.add_subplot(grid[pair]) for pair in pairs}
    for (row, column), axes in panels.items():
        bottom, left = row == count - 1, column == 0 < row
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10], prune="both"))
        axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10], prune="both"))
        axes.tick_params(labelbottom=bottom, labelleft=left)
        axes.set(xlim=limits[column], xlabel=labels[column] if bottom else "")
        if row == column:
            axes.spines.left.set_visible(False)
            axes.set_yticks([])
        else:
            axes.set(ylim=limits[row], ylabel=labels[row] if left else "")
    figure.align_labels(list(panels.values()))
    return figure, panels


def _marginal(axes: Axes, z: Array, limits: Array, index: int) -> None:
    (centres,), density = _density(z[:, None], limits[None])
    colour, dashes = LOOKS[index]
    axes.plot(centres, density, dashes, color=colour)
    if index == 0:
        axes.fill_between(centres, density, color=colour, alpha=0.2, linewidth=0)


def _pair(axes: Axes, z: Array, limits: Array, index: int) -> None:
    (across, up), density = _density(z, limits)
    if not density.any():
        return  # no draw within the limits
    falling = np.sort(density, axis=None)[::-1]
    shares = np.cumsum(falling) / falling.sum()
    levels = np.unique([falling[np.searchsorted(shares, mass)] for mass in MASSES])
    colour, dashes = LOOKS[index]
    if index == 0:
        shades = [to_rgba(colour, opacity) for opacity in (0.15, 0.3)]
        axes.contourf(across, up, density.T, levels=[*levels, np.inf], colors=shades)
    look = {"colors": colour, "linestyles": dashes, "linewidths": 1.0}
    axes.contour(across, up, density.T, levels=levels, **look)


def _density(z: Array, limits: Array) -> tuple[list[Array], Array]:
    """Estimate the density of draws `(K, d)` within limits `(d, 2)` at the centres of cells."""
    edges = [np.linspace(low, high, CELLS + 1) for low, high in limits]
    centres = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    density, _ = np.histogramdd(z, edges)
    for d, centre in enumerate(centres):
        cell = centre[1] - centre[0]
        # h = σ K^(−1/(d+4))
        width = max(_robust_std(z[:, d]) * len(z) ** (-1 / (z.shape[1] + 4)), cell / 2)
        kernel = np.exp(-0.5 * ((centre[:, None] - centre) / width) ** 2)
        smooth = np.tensordot(kernel / kernel.sum(axis=0), density, (1, d)) / cell
        density = np.moveaxis(smooth, 0, d)
    return centres, density / len(z)


def _robust_std(z: Array) -> float:
    """Estimate σ of draws `(K,)`: the smaller of their own and of the one by their quartiles."""
    low, high = np.quantile(z, (0.25, 0.75))
    return min(float(z.std()), float(high - low) / 1.349)


def _legend(figure: Figure, names: list[str], above: float) -> None:
    """Put the methods' names into the empty corner, below a caption of some inches."""
    handles = [
        Line2D([], [], color=colour, ls=dashes, label=textwrap.fill(name, NAME_WIDTH))
        for name, (colour, dashes) in zip(names, LOOKS, strict=False)
    ]
    legend = figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1, 1 - above / figure.get_figheight()),
        title="contours hold 50 % and\n90 % of the draws",
        alignment="left",
        handlelength=2.5,
    )
    legend.set_in_layout(False)
